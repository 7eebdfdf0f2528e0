package report

import "fmt"

// A bar is a row of stacked parts with a mark, such as a memory budget, and a line that it must not pass.
type bar struct {
	Label string
	Parts []float64
	Mark  float64
	Total float64
}

const barStep = 26.0

// stack draws bars of the same parts below each other.
func stack(id, title, caption, unit string, names []string, bars []bar) *plot {
	const labels = 210.0
	x := axis{Label: unit}
	var ends []float64
	for _, b := range bars {
		ends = append(ends, b.Total, b.Mark)
	}
	h := top + float64(len(bars))*barStep + below + legendLine*float64((len(names)+2)/2)
	c := newCanvas(id, title, x.fit(ends), axis{hi: 1}, h, labels)
	c.bottom = top + float64(len(bars))*barStep
	for _, v := range c.x.ticks() {
		fmt.Fprintf(c, `<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, c.px(v), top, c.px(v), c.bottom)
		c.text(c.px(v), c.bottom+16, "tick mid", shortFigure(v))
	}
	for i, b := range bars {
		y := top + float64(i)*barStep
		c.text(labels-6, y+17, "tick end", b.Label)
		at := 0.0
		for k, part := range b.Parts {
			if part > 0 {
				fmt.Fprintf(c, `<rect class="f%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, k%colours, c.px(at), y+4, c.px(at+part)-c.px(at), barStep-8)
			}
			at += part
		}
		if b.Total > 0 {
			fmt.Fprintf(c, `<rect class="outline" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, c.px(0), y+4, c.px(b.Total)-c.px(0), barStep-8)
		}
		if b.Mark > 0 {
			fmt.Fprintf(c, `<line class="mark" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, c.px(b.Mark), y+1, c.px(b.Mark), y+barStep-1)
		}
	}
	c.frame()
	for i, n := range names {
		lx, ly := labels+float64(i%2)*(width-labels)/2, c.bottom+below+8+float64(i/2)*legendLine
		fmt.Fprintf(c, `<rect class="f%d" x="%.1f" y="%.1f" width="14" height="12"/>`, i%colours, lx, ly-11)
		c.text(lx+20, ly, "tick", n)
	}
	return c.done(id, title, caption)
}

// A square is one cell of a matrix: what it says and how good that is, 0 (no) to 2 (yes).
type square struct {
	Text string
	Good int
}

// matrix draws a table of verdicts whose colour only repeats what the text says.
func matrix(id, title, caption string, columns, rows []string, at func(row, column int) square) *plot {
	const labels, step = 150.0, 34.0
	h := top + step*float64(len(rows)+1) + 8
	c := newCanvas(id, title, axis{hi: 1}, axis{hi: 1}, h, labels)
	w := (width - labels - right) / float64(len(columns))
	for k, name := range columns {
		c.text(labels+(float64(k)+0.5)*w, top+20, "tick mid", name)
	}
	for i, name := range rows {
		y := top + step*float64(i+1)
		c.text(labels-8, y+22, "tick end", name)
		for k := range columns {
			s := at(i, k)
			fmt.Fprintf(c, `<rect class="good%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, s.Good, labels+float64(k)*w+1, y+1, w-2, step-2)
			c.text(labels+(float64(k)+0.5)*w, y+22, "tick mid", s.Text)
		}
	}
	return c.done(id, title, caption)
}
