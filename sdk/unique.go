package sdk

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	apiv1 "github.com/fanfold/fanfold/sdk/api/v1"
)

// UniqueScope says until when a job holds its unique key. An ended job never holds one, however it has
// ended, and frees it in the log entry that ends it.
type UniqueScope string

const (
	// UntilDone: until the job has ended. The default.
	UntilDone UniqueScope = "until-done"
	// UntilSuccess is the same moment: a job that has failed for good, or was canceled, holds nothing.
	UntilSuccess UniqueScope = "until-success"
	// UntilStart: until the first task of the job starts for the first time.
	UntilStart UniqueScope = "until-start"
)

// OnConflict says what becomes of a submission whose unique key another job holds.
type OnConflict string

const (
	// ReturnExisting answers with the job that holds the key: Job.Existing. The default.
	ReturnExisting OnConflict = "existing"
	// Replace cancels the holder, whether it runs or waits, and takes its place in the same log entry.
	Replace OnConflict = "replace"
	// Reject refuses the submission: ErrExists.
	Reject OnConflict = "reject"
)

// UniqueConfig makes a job unique. The zero value of each field means its default.
type UniqueConfig struct {
	// Key belongs to the namespace and the task or workflow that is submitted. At most 255 bytes. Default:
	// derived from the input, so that equal inputs are one job.
	Key string
	// Scope is until when the job holds the key. Default UntilDone.
	Scope UniqueScope
	// TTL frees the key after this time at the latest, though the job goes on. Default: never.
	TTL time.Duration
	// OnConflict is what happens while another job holds the key. Default ReturnExisting.
	OnConflict OnConflict
}

// Unique lets at most one living job hold a key. RetryJob of a job that has ended takes the key again, or is
// refused with ErrExists while another holds it.
func Unique(cfg UniqueConfig) SubmitOption {
	return uniqueOption(&apiv1.Unique{
		Mode: "unique", Key: cfg.Key, Scope: string(cfg.Scope), OnConflict: string(cfg.OnConflict), PeriodMs: milliseconds(cfg.TTL),
	}, cfg.TTL < 0)
}

// Throttle makes at most one job in any period d that begins with a submission, whatever becomes of the job. A
// submission within the period answers with the job that began it: Job.Existing. The key "" is derived from the
// input.
func Throttle(key string, d time.Duration) SubmitOption {
	return uniqueOption(&apiv1.Unique{Mode: "throttle", Key: key, PeriodMs: milliseconds(d)}, d <= 0)
}

// Debounce makes one job of submissions that follow each other within d. It starts d after the last of them,
// with the last one's input, and not later than most after the first (0: no such bound). All of them answer
// with the same job. From its start on, a submission begins the next wait.
func Debounce(key string, d, most time.Duration) SubmitOption {
	bad := d <= 0 || most < 0 || key == ""
	return uniqueOption(&apiv1.Unique{Mode: "debounce", Key: key, PeriodMs: milliseconds(d), MaxMs: milliseconds(most)}, bad)
}

// KeepLatest runs one job of a key at a time and lets one more wait for its end: the latest. A later
// submission cancels the one that waits, and takes its place.
func KeepLatest(key string) SubmitOption {
	return uniqueOption(&apiv1.Unique{Mode: "keep-latest", Key: key}, key == "")
}

func uniqueOption(u *apiv1.Unique, bad bool) SubmitOption {
	return submitFunc(func(s *submitSettings) {
		switch {
		case s.job.Options.GetUnique() != nil:
			s.fail("Unique, Throttle, Debounce, KeepLatest: %w: give one of them, once", ErrInvalid)
		case bad:
			s.fail("%s key %q: %w: a period must be positive, and this mode may need a key of its own", u.Mode, u.Key, ErrInvalid)
		case len(u.Key) > 255:
			s.fail("%s key: %w: it has %d bytes, and at most 255: use a hash of it", u.Mode, ErrInvalid, len(u.Key))
		}
		s.options().Unique = proto.CloneOf(u) // an option may be used for many jobs
	})
}

// deriveUnique makes the key of a job that gave none of its input, before anything encodes that: a codec
// may write the same input in other bytes each time.
func (s *submitSettings) deriveUnique(input []byte) {
	if u := s.job.Options.GetUnique(); u != nil && u.Key == "" {
		sum := sha256.Sum256(input)
		u.Key, u.Derived = hex.EncodeToString(sum[:]), true
	}
}

// InBatch makes the job one of a batch (Client.NewBatch, Client.Batch). A submission that a unique key answers with another
// job adds nothing to the batch.
func InBatch(b *Batch) SubmitOption {
	return submitFunc(func(s *submitSettings) {
		if b == nil || b.id == "" {
			s.errs = append(s.errs, fmt.Errorf("InBatch: %w: no batch", ErrInvalid))
			return
		}
		s.options().Batch = b.id
	})
}
