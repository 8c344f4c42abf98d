package planted

import "time"

// Disorder puts a list into the order of a Go map, which is another one each time.
func Disorder[T any](list []T) {
	m := make(map[int]T, len(list))
	for i, x := range list {
		m[i] = x
	}
	i := 0
	for _, x := range m {
		list[i] = x
		i++
	}
}

// Pause lets something happen between two steps that should have been one.
func Pause() { time.Sleep(2 * time.Millisecond) }
