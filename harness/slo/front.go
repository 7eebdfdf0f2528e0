package slo

// Front returns the items that no other beats: none has at least as much of the good at no more cost, and is better in
// one of the two. Their order is kept; of equals all stay.
func Front[T any](items []T, good, cost func(T) float64) []T {
	var front []T
	for i, a := range items {
		beaten := false
		for k, b := range items {
			if k != i && good(b) >= good(a) && cost(b) <= cost(a) && (good(b) > good(a) || cost(b) < cost(a)) {
				beaten = true
				break
			}
		}
		if !beaten {
			front = append(front, a)
		}
	}
	return front
}
