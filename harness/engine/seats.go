package engine

// seat is a member's place in an aggregate. Whatever is kept from step to step names members by it: then the garbage
// collector need neither follow pointers nor be told of each that is written.
type seat uint32

const nobody seat = 0

// seats hold members, which do not move.
type seats struct {
	pages []*[seatPage]member
	last  seat
}

const seatPage = 64

// add returns a new seat.
func (s *seats) add() seat {
	if s.last++; int(s.last) >= len(s.pages)*seatPage {
		s.pages = append(s.pages, new([seatPage]member))
	}
	s.at(s.last).seat = s.last
	return s.last
}

func (s *seats) at(k seat) *member { return &s.pages[k/seatPage][k%seatPage] }
