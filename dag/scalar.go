package dag

// text takes a string, whose opening quote is next.
func (w *window) text() error {
	w.pos++
	for {
		for w.pos < len(w.buf) {
			c := w.buf[w.pos]
			if c == '"' {
				w.pos++
				return nil
			}
			if c < ' ' {
				return w.wrong("a control character must be escaped in a string", c)
			}
			w.pos++
			if c == '\\' {
				if err := w.escape(); err != nil {
					return err
				}
			}
		}
		more, err := w.fill()
		if err != nil {
			return err
		}
		if !more {
			return w.wrong("wants the end of the string", 0)
		}
	}
}

// escape takes what follows a backslash.
func (w *window) escape() error {
	c, err := w.peek()
	if err != nil {
		return err
	}
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		w.pos++
		return nil
	case 'u':
	default:
		return w.wrong("wants one of the escapes of JSON", c)
	}
	w.pos++
	for range 4 {
		if c, err = w.peek(); err != nil {
			return err
		}
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return w.wrong("wants four hexadecimal digits", c)
		}
		w.pos++
	}
	return nil
}

func (w *window) literal(word string) error {
	for i := range len(word) {
		c, err := w.peek()
		if err != nil {
			return err
		}
		if c != word[i] {
			return w.wrong("wants "+word, c)
		}
		w.pos++
	}
	return nil
}

// number takes -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
func (w *window) number() error {
	c, err := w.peek()
	if err == nil && c == '-' {
		w.pos++
		c, err = w.peek()
	}
	if err != nil {
		return err
	}
	if c == '0' {
		w.pos++
	} else if err := w.digits(); err != nil {
		return err
	}
	if c, err = w.peek(); err != nil {
		return err
	}
	if c == '.' {
		w.pos++
		if err := w.digits(); err != nil {
			return err
		}
		if c, err = w.peek(); err != nil {
			return err
		}
	}
	if c != 'e' && c != 'E' {
		return nil
	}
	w.pos++
	if c, err = w.peek(); err != nil {
		return err
	}
	if c == '+' || c == '-' {
		w.pos++
	}
	return w.digits()
}

// digits takes one or more digits.
func (w *window) digits() error {
	for n := 0; ; n++ {
		c, err := w.peek()
		if err != nil {
			return err
		}
		if c < '0' || c > '9' {
			if n == 0 {
				return w.wrong("wants a digit", c)
			}
			return nil
		}
		w.pos++
	}
}
