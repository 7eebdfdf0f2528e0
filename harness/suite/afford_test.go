package suite

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

func TestACaseIsCutToItsTime(t *testing.T) {
	chat := workload.BatchChat(1000)
	burst := workload.BatchChat(0).At(workload.Steps(40, workload.Point{T: 30, X: 1}, workload.Point{T: 10, X: 5}, workload.Point{T: 60, X: 1}))
	for _, c := range []struct {
		name      string
		w         workload.Workload
		simulated float64 // seconds
		pace      float64
		played    string
		repeats   int
	}{
		{"short", chat.At(workload.Poisson{Rate: 40}), 25, 1.1, "", 3},
		{"too long", chat.At(workload.Poisson{Rate: 4}), 240, 1, "250 rows batch-chat · poisson 4/s · seed 0", 3},
		{"on a slow server", chat.At(workload.Poisson{Rate: 40}), 30, 4, "500 rows batch-chat · poisson 10/s · seed 0", 3},
		{"on a very slow server", chat.At(workload.Poisson{Rate: 40}), 30, 1000, "20 rows batch-chat · poisson 0.04/s · seed 0", 3},
		{"on a fast server", chat.At(workload.AllAtOnce{}), 50, 0.1, "", 3},
		{"a burst keeps its time", burst, 110, 1, "", 1},
		{"a burst on a slow server", burst, 110, 4, "profile at a quarter of the rate", 1},
		{"a burst that drains too long", burst, 360, 1, "profile at half the rate", 1},
	} {
		got, repeats, note := afford(c.w, units.Seconds(c.simulated), c.pace, 3*time.Minute, 3)
		require.Equal(t, c.repeats, repeats, c.name)
		base := got.(workload.Load).Arrivals
		switch c.played {
		case "":
			require.Equal(t, c.w, got, c.name)
			require.Empty(t, note, c.name)
			continue
		case "profile at a quarter of the rate":
			require.Equal(t, 10.0, base.(workload.Profile).Base, c.name)
		case "profile at half the rate":
			require.Equal(t, 20.0, base.(workload.Profile).Base, c.name)
		default:
			require.Equal(t, c.played, got.String(), c.name)
		}
		require.Contains(t, note, got.String(), "the row says what was played")
		require.Contains(t, note, c.w.String(), "and what was asked")
	}
}
