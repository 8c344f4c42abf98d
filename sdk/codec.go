package sdk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// Codec encodes payloads before they leave the process: inputs, results, checkpoints. The cluster stores
// what it returns and cannot read it. NewAESGCM makes one that encrypts. Errors, logs, progress and
// headers are not encoded: without them nobody could find out what failed.
//
// A list stays a list whose items are encoded one by one, at every depth: the engine goes over lists
// (Each, Fold, Chunk, Flatten) and needs no more of them than where an item ends. So their lengths can be
// seen; give a list a struct around it where it is to be one secret.
//
// A value that is not encoded is passed as it is: constants of a graph, inputs of schedules and webhooks,
// and what was stored before there was a codec. Limits by a field of the input (PartitionBy) cannot see into an encoded one.
//
// Encode must give the same for the same plain bytes and salt, as long as its key does not change:
// submitting again under the same JobID or JobKey is recognised by equal bytes.
type Codec interface {
	// Encode encodes a JSON document. salt tells equal items of a list apart; it is nil for a document
	// that is no list.
	Encode(plain, salt []byte) (Encoded, error)
	// Decode is the reverse. It gets whatever Encode returned, also of other keys.
	Decode(Encoded) (plain []byte, err error)
}

// Encoded is a value as it is stored.
type Encoded struct {
	Codec string `json:"$encoded"`      // the codec's name, such as "aes-gcm"; not empty
	Key   string `json:"key,omitempty"` // which key, for people and for Decode
	Data  []byte `json:"data"`
}

// encodedMark is how an encoded value begins. encoding/json writes no space.
var encodedMark = []byte(`{"$encoded":`)

// ErrSealed: a value is encoded and this program has no codec, or not its key.
var ErrSealed = errors.New("value is encoded")

// seal encodes a document for its way to the cluster. One that is encoded already stays as it is.
func (c *Client) seal(doc []byte) ([]byte, error) {
	if c.cfg.Codec == nil || bytes.Contains(doc, encodedMark) && isEncoded(doc) {
		return doc, nil
	}
	switch trimmed := bytes.TrimSpace(doc); {
	case len(trimmed) == 0 || string(trimmed) == "null": // nothing, which the engine reads as an empty list
		return doc, nil
	case trimmed[0] != '[':
		return c.sealOne(doc, nil)
	}
	s := sealer{client: c, whole: sha256.Sum256(doc)}
	return s.list(nil, doc)
}

func (c *Client) sealOne(doc, salt []byte) ([]byte, error) {
	e, err := c.cfg.Codec.Encode(doc, salt)
	if err != nil {
		return nil, fmt.Errorf("encode a value: %w", err)
	}
	return json.Marshal(e)
}

// isEncoded reports whether a document as a whole is an encoded value.
func isEncoded(doc []byte) bool {
	_, ok := encodedOf(doc)
	return ok
}

func encodedOf(doc []byte) (e Encoded, ok bool) {
	doc = bytes.TrimLeft(doc, " \t\r\n")
	if !bytes.HasPrefix(doc, encodedMark) {
		return e, false
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	return e, d.Decode(&e) == nil && e.Codec != ""
}

// sealer encodes the items of one list.
type sealer struct {
	client *Client
	whole  [sha256.Size]byte // sum of the document: part of every item's salt
	n      uint64            // items so far
}

// list appends the list with its items encoded.
func (s *sealer) list(dst, doc []byte) ([]byte, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(doc, &items); err != nil {
		return nil, fmt.Errorf("encode a value: %w", err)
	}
	dst = append(dst, '[')
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		switch {
		case item[0] == '[':
			dst, err = s.list(dst, item)
		case item[0] == 'n': // null: an empty list, where a list of lists is gone over
			dst = append(dst, item...)
		default:
			var one []byte
			s.n++
			one, err = s.client.sealOne(item, binary.BigEndian.AppendUint64(s.whole[:], s.n))
			dst = append(dst, one...)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// unseal decodes what is encoded in a document: the whole, items of lists, members that a Join or an
// EachSettled has put together. What is inside of an encoded value is left as it is.
func (c *Client) unseal(doc []byte) ([]byte, error) {
	if !bytes.Contains(doc, encodedMark) {
		return doc, nil
	}
	if e, ok := encodedOf(doc); ok {
		return c.unsealOne(e)
	}
	switch doc = bytes.TrimLeft(doc, " \t\r\n"); doc[0] {
	case '[':
		var items []json.RawMessage
		if err := json.Unmarshal(doc, &items); err != nil {
			return doc, nil // not ours to judge: the decoder says what is wrong
		}
		out := make([]byte, 0, len(doc))
		for i, item := range items {
			out = append(out, separator('[', i)...)
			plain, err := c.unseal(item)
			if err != nil {
				return nil, err
			}
			out = append(out, plain...)
		}
		return append(out, ']'), nil
	case '{':
		return c.unsealMembers(doc)
	}
	return doc, nil
}

func separator(first byte, i int) []byte {
	if i == 0 {
		return []byte{first}
	}
	return []byte{','}
}

// unsealMembers decodes the members of an object, in their order.
func (c *Client) unsealMembers(doc []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	if _, err := d.Token(); err != nil {
		return doc, nil
	}
	out := make([]byte, 0, len(doc))
	for i := 0; d.More(); i++ {
		name, err := d.Token()
		if err != nil {
			return doc, nil
		}
		var member json.RawMessage
		if err := d.Decode(&member); err != nil {
			return doc, nil
		}
		plain, err := c.unseal(member)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		out = append(append(append(append(out, separator('{', i)...), text...), ':'), plain...)
	}
	return append(out, '}'), nil
}

// unsealRaw is unseal for those who ask for a value as it is: without a codec they get what is stored.
func (c *Client) unsealRaw(doc []byte) ([]byte, error) {
	if c.cfg.Codec == nil {
		return doc, nil
	}
	return c.unseal(doc)
}

func (c *Client) unsealOne(e Encoded) ([]byte, error) {
	if c.cfg.Codec == nil {
		return nil, fmt.Errorf("%w by %s (key %q): set ClientConfig.Codec", ErrSealed, e.Codec, e.Key)
	}
	plain, err := c.cfg.Codec.Decode(e)
	if err != nil {
		return nil, fmt.Errorf("%w by %s (key %q): %w", ErrSealed, e.Codec, e.Key, err)
	}
	return plain, nil
}
