package evidence

// Submissions count what became of the keys that clients submitted jobs with, by the log.
type Submissions struct {
	Acked      int `json:"acked"`
	Lost       int `json:"lost"`       // acknowledged, but not in the log, or without an end
	Duplicated int `json:"duplicated"` // more than one job
	Unexpected int `json:"unexpected"` // jobs that nobody submitted
	Recovered  int `json:"recovered"`  // of unknown outcome to all clients, and in the log
	Never      int `json:"never"`      // of unknown outcome, and not in the log
	Refused    int `json:"refused"`
}
