package report

import (
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// A plot is one picture: inline SVG that takes its colours from the page, so that it follows light, dark and print.
type plot struct {
	ID, Title, Caption string
	SVG                string
}

// An axis says what is on it, in which unit, and whether it is logarithmic.
type axis struct {
	Label  string
	Log    bool
	Tight  bool // zero is not on it
	lo, hi float64
	fixed  bool // lo and hi are given
}

type xy struct{ x, y float64 }

// A series is a line, or dots where Dots is set. Equal names share a colour and one entry of the legend.
type series struct {
	Name   string
	Points []xy
	Dots   bool
	Labels []string // beside the points
}

// A span shades a stretch of x; a level is a horizontal line.
type span struct {
	From, To float64
	Label    string
}

type level struct {
	Y     float64
	Label string
}

const (
	width, height           = 720.0, 400.0
	left, right, top, below = 72.0, 16.0, 16.0, 52.0
	legendLine              = 20.0
	colours                 = 6 // that the page defines
)

// canvas collects SVG elements; h is the height of the plot area's lower edge.
type canvas struct {
	strings.Builder
	x, y     axis
	bottom   float64
	plotLeft float64
	labels   []box // that stand already
}

type box struct{ x, y, w float64 }

func (c *canvas) px(x float64) float64 {
	return c.plotLeft + c.x.share(x)*(width-c.plotLeft-right)
}
func (c *canvas) py(y float64) float64 { return c.bottom - c.y.share(y)*(c.bottom-top) }

func (a axis) share(v float64) float64 {
	if a.Log {
		v = math.Log(max(v, a.lo))
		return (v - math.Log(a.lo)) / (math.Log(a.hi) - math.Log(a.lo))
	}
	return (v - a.lo) / (a.hi - a.lo)
}

// fit chooses the ends of an axis.
func (a axis) fit(values []float64) axis {
	if a.fixed {
		return a
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if a.Log && v <= 0 {
			continue
		}
		lo, hi = min(lo, v), max(hi, v)
	}
	switch {
	case lo > hi:
		a.lo, a.hi = 0, 1
		if a.Log {
			a.lo, a.hi = 1, 10
		}
	case a.Log:
		a.lo, a.hi = lo/1.15, hi*1.15
	case a.Tight:
		a.lo, a.hi = lo-(hi-lo)*0.1, hi+(hi-lo)*0.1
	default:
		a.lo, a.hi = min(0, lo), hi*1.05
	}
	if a.hi <= a.lo {
		a.hi = a.lo + 1
	}
	return a
}

// ticks are round values: 1, 2 and 5 times powers of ten.
func (a axis) ticks() []float64 {
	var out []float64
	if a.Log {
		steps := []float64{1, 2, 5}
		if a.hi/a.lo > 1000 {
			steps = []float64{1}
		}
		for e := math.Floor(math.Log10(a.lo)); e <= math.Ceil(math.Log10(a.hi)); e++ {
			for _, m := range steps {
				if v := m * math.Pow(10, e); v >= a.lo && v <= a.hi {
					out = append(out, v)
				}
			}
		}
		return out
	}
	raw := (a.hi - a.lo) / 5
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if step*m >= raw {
			step *= m
			break
		}
	}
	for v := math.Ceil(a.lo/step) * step; v <= a.hi+step/1e6; v += step {
		out = append(out, v)
	}
	return out
}

func esc(s string) string { return html.EscapeString(s) }

func newCanvas(id, title string, x, y axis, h, plotLeft float64) *canvas {
	c := &canvas{x: x, y: y, bottom: h - below, plotLeft: plotLeft}
	fmt.Fprintf(c, `<svg viewBox="0 0 %g %g" role="img" aria-labelledby="%s-t" xmlns="http://www.w3.org/2000/svg"><title id="%s-t">%s</title>`, width, h, id, id, esc(title))
	return c
}

func (c *canvas) text(x, y float64, class, s string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" class="%s">%s</text>`, x, y, class, esc(s))
}

func (c *canvas) axes() {
	for _, v := range c.x.ticks() {
		x := c.px(v)
		fmt.Fprintf(c, `<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x, top, x, c.bottom)
		c.text(x, c.bottom+16, "tick mid", shortFigure(v))
	}
	for _, v := range c.y.ticks() {
		y := c.py(v)
		fmt.Fprintf(c, `<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, c.plotLeft, y, width-right, y)
		c.text(c.plotLeft-6, y+4, "tick end", shortFigure(v))
	}
	c.frame()
}

func (c *canvas) frame() {
	fmt.Fprintf(c, `<path class="frame" d="M%.1f %.1fV%.1fH%.1f"/>`, c.plotLeft, top, c.bottom, width-right)
	c.text((c.plotLeft+width-right)/2, c.bottom+38, "label mid", c.x.Label)
	if c.y.Label != "" {
		y := (top + c.bottom) / 2
		fmt.Fprintf(c, `<text class="label mid" transform="translate(16 %.1f) rotate(-90)">%s</text>`, y, esc(c.y.Label))
	}
}

// legend names the series below the plot area, two a line.
func (c *canvas) legend(from float64, names []string, dots map[string]bool) {
	for i, n := range names {
		x, y := c.plotLeft+float64(i%2)*(width-c.plotLeft)/2, from+float64(i/2)*legendLine
		if dots[n] {
			fmt.Fprintf(c, `<circle class="s%d dot" cx="%.1f" cy="%.1f" r="4"/>`, i%colours, x+11, y-4)
		} else {
			fmt.Fprintf(c, `<line class="s%d line" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, i%colours, x, y-4, x+22, y-4)
		}
		c.text(x+28, y, "tick", n)
	}
}

func (c *canvas) done(id, title, caption string) *plot {
	c.WriteString("</svg>")
	return &plot{id, title, caption, c.String()}
}

// draw plots series over two axes.
func draw(id, title, caption string, x, y axis, all []series, spans []span, levels []level) *plot {
	var xs, ys []float64
	var names []string
	colour, dots := map[string]int{}, map[string]bool{}
	for _, s := range all {
		if _, known := colour[s.Name]; !known {
			colour[s.Name] = len(names)
			names = append(names, s.Name)
			dots[s.Name] = s.Dots
		}
		for _, p := range s.Points {
			xs, ys = append(xs, p.x), append(ys, p.y)
		}
	}
	for _, l := range levels {
		ys = append(ys, l.Y)
	}
	if len(names) == 1 {
		names = nil
	}
	h := height + float64((len(names)+1)/2)*legendLine
	c := newCanvas(id, title, x.fit(xs), y.fit(ys), height, left)
	head := strings.Replace(c.String(), fmt.Sprintf("0 0 %g %g", width, height), fmt.Sprintf("0 0 %g %g", width, h), 1)
	c.Reset()
	c.WriteString(head)
	for i, s := range spans {
		fmt.Fprintf(c, `<rect class="span%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, i%2, c.px(s.From), top, c.px(s.To)-c.px(s.From), c.bottom-top)
		c.text((c.px(s.From)+c.px(s.To))/2, top+12, "tick mid", s.Label)
	}
	c.axes()
	for _, l := range levels {
		fmt.Fprintf(c, `<line class="level" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, c.plotLeft, c.py(l.Y), width-right, c.py(l.Y))
		c.text(width-right-4, c.py(l.Y)-4, "tick end", l.Label)
	}
	for _, s := range all {
		c.series(s, colour[s.Name]%colours)
	}
	c.legend(height+10, names, dots)
	return c.done(id, title, caption)
}

func (c *canvas) series(s series, colour int) {
	if s.Dots {
		for i, p := range s.Points {
			fmt.Fprintf(c, `<circle class="s%d dot" cx="%.1f" cy="%.1f" r="4"/>`, colour, c.px(p.x), c.py(p.y))
			if i < len(s.Labels) {
				c.label(c.px(p.x), c.py(p.y), s.Labels[i])
			}
		}
		return
	}
	var d strings.Builder
	for i, p := range s.Points {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&d, "%s%.1f %.1f", command, c.px(p.x), c.py(p.y))
	}
	fmt.Fprintf(c, `<path class="s%d line" d="%s"/>`, colour, d.String())
}

// label writes beside a dot, above or below it, and not at all where it would cover another label.
func (c *canvas) label(x, y float64, s string) {
	w := 7 * float64(len(s))
	class, from := "tick", x+7
	if x > width-150 {
		class, from = "tick end", x-7-w
	}
	for _, dy := range []float64{-5, 13} {
		free := true
		for _, b := range c.labels {
			free = free && (from > b.x+b.w || from+w < b.x || math.Abs(y+dy-b.y) > 12)
		}
		if !free {
			continue
		}
		c.labels = append(c.labels, box{from, y + dy, w})
		if class == "tick" {
			c.text(from, y+dy, class, s)
		} else {
			c.text(from+w, y+dy, class, s)
		}
		return
	}
}

// shortFigure prints a tick.
func shortFigure(v float64) string {
	if math.Abs(v) < 1e-12 {
		return "0"
	}
	switch a := math.Abs(v); {
	case a >= 1e6:
		return trim(v/1e6) + "M"
	case a >= 1e4:
		return trim(v/1e3) + "k"
	}
	return trim(v)
}

func trim(v float64) string {
	s := fmt.Sprintf("%.3g", v)
	if strings.Contains(s, "e") {
		return fmt.Sprintf("%.0f", v)
	}
	return s
}

func sortByX(points []xy) {
	slices.SortFunc(points, func(a, b xy) int { return cmp.Compare(a.x, b.x) })
}
