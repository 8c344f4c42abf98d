package dag

// Limits of a graph. They bound what one submitted job can cost every replica, and are part of the
// stored form: they may grow, never shrink.
const (
	MaxSteps       = 10_000
	MaxEncoded     = 1 << 20 // bytes of the encoded form
	MaxRefs        = 1_000   // steps named by one step, or by the output
	MaxDepth       = 16      // nesting of one expression
	MaxName        = 255     // bytes
	MaxParallel    = 10_000
	MaxFanIn       = 1_000
	MaxAttempts    = 10_000
	MaxErrorTypes  = 100 // of permanent_on and discard_on
	MaxPriority    = 10
	MaxDurationMS  = 10 * 365 * 24 * 60 * 60 * 1000 // ten years
	MaxFactorMilli = 1_000_000

	maxExprNodes = MaxRefs * MaxDepth
	maxProblems  = 100
)

const nameRule = "a name is 1 to 255 letters, digits and ._/-"

// ValidName reports whether a string may name a workflow, step, task or queue: 1-255 bytes of
// [A-Za-z0-9._/-].
func ValidName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '/' || c == '-') {
			return false
		}
	}
	return name != "" && len(name) <= MaxName
}
