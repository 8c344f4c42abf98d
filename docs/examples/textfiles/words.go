package textfiles

import "iter"

// Words yields the words of data in order. A yielded slice is a part of data.
func Words(data []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		start := -1
		for i, b := range data {
			switch {
			case letter(b) && start < 0:
				start = i
			case !letter(b) && start >= 0:
				if !yield(data[start:i]) {
					return
				}
				start = -1
			}
		}
		if start >= 0 {
			yield(data[start:])
		}
	}
}

func letter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }
