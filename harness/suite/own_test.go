package suite_test

import (
	"testing"
	"time"

	"github.com/testing-symbiote/symbiote/harness/slo"
	"github.com/testing-symbiote/symbiote/harness/suite"
	"github.com/testing-symbiote/symbiote/harness/workload"
)

func TestMine(t *testing.T) {
	on, chat := suite.On("Qwen/Qwen2.5-7B-Instruct", "l40s"), workload.BatchChat(1000)
	suite.Run(t, suite.Spec{
		Asks: "How many chats a second does a 7B model on one L40S hold?",
		SLO:  slo.Target{TTFT: time.Second, TPOT: 50 * time.Millisecond},
		Cases: []suite.Case{
			{Name: "rate=4", On: on, Play: chat.At(workload.Poisson{Rate: 4}), Want: suite.Meets(99)},
			{Name: "rate=80", On: on, Play: chat.At(workload.Poisson{Rate: 80}), Want: suite.Misses(50)},
		}})
}
