package workload

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/testing-symbiote/symbiote/harness/units"
)

func TestWhatAServerCanAfford(t *testing.T) {
	chat := BatchChat(1000)
	profile := Steps(40, Point{10, 1}, Point{5, 10}).Burst(2)
	for _, c := range []struct {
		name string
		got  Workload
		want string
	}{
		{"slower", Slowed(chat.At(Poisson{40}), 4), "1000 rows batch-chat · poisson 10/s · seed 0"},
		{"slower gaps", Slowed(chat.At(Gamma{40, 3}), 4), "1000 rows batch-chat · gamma 10/s cv=3 · seed 0"},
		{"slower periods", Slowed(chat.At(OnOff{On: time.Second, Off: time.Second, OnRate: 8, OffRate: 4}), 4), "1000 rows batch-chat · on 1s at 2/s, off 1s at 1/s · seed 0"},
		{"a closed loop paces itself", Slowed(chat.At(Closed{8}), 4), "1000 rows batch-chat · closed loop of 8 · seed 0"},
		{"fewer", Fewer(chat.At(Constant{5}), 0.1, 20), "100 rows batch-chat · constant 5/s · seed 0"},
		{"never fewer than", Fewer(chat.At(Constant{5}), 0.01, 20), "20 rows batch-chat · constant 5/s · seed 0"},
		{"never more", Fewer(chat.At(Constant{5}), 3, 20), "1000 rows batch-chat · constant 5/s · seed 0"},
		{"sessions", Fewer(Sessions{Count: 10, Starts: Poisson{1}, Turns: Fixed(2), New: Fixed(8), Output: Fixed(4)}, 0.5, 1), "5 sessions of 2 turns, 8 new tokens after a system prompt of 0, output 4, think 0s · poisson 1/s · seed 0"},
	} {
		require.Equal(t, c.want, c.got.String(), c.name)
	}
	short := Fewer(BatchChat(0).At(profile), 0.25, 20).(Load).Arrivals.(Profile)
	require.Equal(t, 10.0, short.Base, "a profile keeps its time and loses rate")
	require.Equal(t, profile.Points, short.Points)
	require.Equal(t, 2.0, short.CV)

	p := Fewer(Pipeline{Rows: chat, BatchSize: 64, Blocks: 32}, 0.25, 20).(Pipeline)
	require.Equal(t, 250, p.Rows.Len())
	require.Equal(t, 8, p.Blocks)
	require.Len(t, play(t, p.Play(), units.Second), 250)
}
