package statistics

import (
	"math"
	"slices"

	"github.com/softacs/softacs/models"
)

// The E-model of ITU-T G.107 with the default values of its Table 2, reduced to what a client's samples tell: loss, jitter and delay. Echo is taken
// to be cancelled, as soft clients do, so that Idte and Idle are 0 (G.107 clause 7.4); A is 0 (clause 7.6).
const (
	basicRating = 93.2 // Ro - Is with default values (G.107 clause 7.7)
	// The codec is G.711 with packet loss concealment: Ie and Bpl of ITU-T G.113 Appendix I. Loss is random: BurstR = 1.
	equipment  = 0.0
	robustness = 25.1
	// packetisation is what encoding and packets of 20 ms add to the network's delay, in ms; a jitter buffer adds twice the jitter.
	packetisation = 25.0
)

// rating is the transmission rating factor R for a one-way delay in ms and a loss in percent (G.107 equation 7-1).
func rating(oneWay, loss float64) float64 {
	return basicRating - delayImpairment(oneWay) - equipmentImpairment(loss)
}

// delayImpairment is Idd (G.107 equations 7-27 and 7-28).
func delayImpairment(oneWay float64) float64 {
	if oneWay <= 100 {
		return 0
	}
	x := math.Log2(oneWay / 100)
	return 25 * (math.Pow(1+math.Pow(x, 6), 1.0/6) - 3*math.Pow(1+math.Pow(x/3, 6), 1.0/6) + 2)
}

// equipmentImpairment is Ie-eff (G.107 equation 7-29).
func equipmentImpairment(loss float64) float64 {
	return equipment + (95-equipment)*loss/(loss+robustness)
}

// meanOpinion is the estimated MOS-CQE of a rating (G.107 Annex B).
func meanOpinion(r float64) float64 {
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}

// quality is what one report tells of the calls in its interval.
type quality struct {
	mos      float64
	jitterMs float64
	hasMOS   bool
	jittered bool
}

// sample estimates quality from the gauges of a report. A client that had no call in the interval has nothing to sample; one that reports neither
// jitter nor delay tells too little. The loss is that of the gauge, else that of the interval.
func sample(gauges, deltas, cumulative map[string]int64) (q quality) {
	if idle(deltas, cumulative) {
		return q
	}
	micros, jittered := either(gauges, averageJitter, jitter)
	trip, delayed := either(gauges, averageDelay, delay)
	q.jitterMs, q.jittered, q.hasMOS = micros/1000, jittered, jittered || delayed
	loss, _ := lossOf(gauges, deltas)
	q.mos = meanOpinion(rating(trip/1000/2+2*q.jitterMs+packetisation, loss))
	return q
}

// idle tells that the client had no call in the interval, as far as it counts calls.
func idle(deltas, cumulative map[string]int64) bool {
	_, packets := cumulative[packetsReceived]
	_, time := cumulative[totalCallTime]
	return (packets || time) && deltas[packetsReceived] == 0 && deltas[totalCallTime] == 0
}

// lossOf is the loss in percent: that of the gauge, else that of the interval; false if neither tells.
func lossOf(gauges, deltas map[string]int64) (percent float64, told bool) {
	percent, told = either(gauges, lossRate)
	if lost, got := float64(deltas[packetsLost]), float64(deltas[packetsReceived]); !told && lost+got > 0 {
		percent, told = 100*lost/(lost+got), true
	}
	return min(percent, 100), told
}

// Media is what one report tells of the calls in its interval: the mean opinion score and the loss in percent; nil for what it does not tell.
func Media(r *models.StatisticsReport) (mos, loss *float64) {
	if slices.Contains(r.Flags.V, models.StatisticsImplausible) || idle(r.Deltas.V, r.Counters.V) {
		return nil, nil
	}
	if q := sample(r.Gauges.V, r.Deltas.V, r.Counters.V); q.hasMOS {
		mos = &q.mos
	}
	if percent, told := lossOf(r.Gauges.V, r.Deltas.V); told {
		loss = &percent
	}
	return mos, loss
}

// either is the first of the gauges that was reported.
func either(gauges map[string]int64, names ...string) (float64, bool) {
	for _, name := range names {
		if n, ok := gauges[name]; ok {
			return float64(n), true
		}
	}
	return 0, false
}
