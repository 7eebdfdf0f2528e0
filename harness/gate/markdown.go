package gate

import (
	"fmt"
	"io"
	"strings"
)

// Marker is how the one comment of a pull request is found again.
const Marker = "<!-- symbiote-gate -->"

// A pull request's comment has room for 65,536 characters: this many rows that moved, causes, and other rows it lists.
const mostMoved, mostCauses, mostRest = 30, 10, 100

// Markdown writes the report as the comment of a pull request: the verdict, the rows that moved, the rest folded.
func (r Report) Markdown(w io.Writer, h Heading) error {
	var b strings.Builder
	sign := map[int]string{0: "🟢", 1: "🔴", 2: "⛔"}[r.Code()]
	fmt.Fprintf(&b, "%s\n## %s %s\n", Marker, sign, r.Verdict())
	if h.Base != "" {
		fmt.Fprintf(&b, "\nbase `%s` → head `%s`\n", escape(h.Base), escape(h.Head))
	}
	list(&b, "Why it cannot be compared", r.Refusals)
	list(&b, "Expired waivers", r.Expired)
	if rows := r.changedRows(); len(rows) > 0 {
		table(&b, rows, mostMoved)
	}
	if len(r.Causes) > 0 || len(r.Inputs) > 0 {
		b.WriteString("\n<details open><summary>Why</summary>\n\n")
		for _, c := range r.Inputs {
			fmt.Fprintf(&b, "- %s: `%s` → `%s`\n", escape(c.Key), escape(c.Old), escape(c.New))
		}
		for i, c := range r.Causes {
			if i == mostCauses {
				fmt.Fprintf(&b, "- %d more are in report.html\n", len(r.Causes)-i)
				break
			}
			fmt.Fprintf(&b, "- **%s**\n", escape(c.Case))
			for _, line := range c.Lines() {
				fmt.Fprintf(&b, "  - %s\n", escape(line))
			}
		}
		b.WriteString("\n</details>\n")
	}
	if rest := r.restRows(); len(rest) > 0 {
		fmt.Fprintf(&b, "\n<details><summary>%d rows that did not move or could not be measured</summary>\n", len(rest))
		table(&b, rest, mostRest)
		b.WriteString("\n</details>\n")
	}
	b.WriteString("\n<details><summary>How to read this</summary>\n\n" +
		"*virtual* rows come from the simulator and are exact: any change beyond the limit counts. *time* rows are measured: " +
		"p < 0.01 after Holm's correction, a 95 % interval without zero, and beyond the limit. *unmeasurable* rows are too noisy to tell and are never red.\n\n</details>\n")
	if h.Reproduce != "" {
		fmt.Fprintf(&b, "\nReproduce: `%s` · accept a virtual row: `make golden`, and say in the commit why it moved.\n", escape(h.Reproduce))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func list(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n\n", title)
	for _, line := range lines {
		fmt.Fprintf(b, "- %s\n", escape(line))
	}
}

func table(b *strings.Builder, rows []Row, most int) {
	b.WriteString("\n| | case | metric | base | head | change (95 % interval) | limit | verdict |\n|---|---|---|--:|--:|---|--:|---|\n")
	for _, row := range rows[:min(most, len(rows))] {
		verdict := string(row.Status)
		if row.Why != "" {
			verdict += ": " + row.Why
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %g%% | %s |\n", row.Status.sign(), escape(row.Name), escape(row.Unit),
			value(row.Old, row.Unit), value(row.New, row.Unit), row.delta(), row.Limit, escape(verdict))
	}
	if len(rows) > most {
		fmt.Fprintf(b, "\n%d more are in report.html.\n", len(rows)-most)
	}
}

// escape keeps a name that a pull request chose from becoming markup.
func escape(s string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", ">", "&gt;", "`", "'", "\n", " ", "@", "@\u200b").Replace(s)
}
