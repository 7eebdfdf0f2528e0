package suite

import "testing"

// Twin is a case under which another's promise must not hold.
type Twin struct {
	Is   string // what differs, as "seats=32"
	Case        // with that difference; its own Name and Want do not matter
}

// Twins shows of each case that its promise can be broken: it must not hold for the twin. A promise that holds
// whatever is measured says nothing. The simulator answers; a live server is not asked to fail.
func Twins(t *testing.T, s Spec, of func(Case) Twin) {
	t.Helper()
	if !exact {
		return
	}
	b, err := serving()
	if err != nil {
		t.Fatal(err)
	}
	twins, names := s, make([]string, len(s.Cases))
	twins.Cases = make([]Case, len(s.Cases))
	for i, c := range s.Cases {
		twin := of(c)
		names[i], twins.Cases[i] = "twin-of="+c.Name+"/"+twin.Is, twin.Case
	}
	measured := twins.start(t.Context(), b, !filtered())
	defer measured.wait()
	for i, c := range s.Cases {
		t.Run(names[i], func(t *testing.T) {
			if c.Want.Check == nil {
				t.Fatalf("%s promises nothing", c.Name)
			}
			r, err := measured.result(i)
			if err != nil {
				t.Fatalf("%s: cannot be measured: %v", names[i], err)
			}
			but := c.Want.check(r)
			if but == nil {
				t.Fatalf("it %s too, so the promise is empty", c.Want.Says)
			}
			t.Log(but)
		})
	}
}
