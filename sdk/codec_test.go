package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func testCodec(t testing.TB, active string, ids ...string) *Client {
	t.Helper()
	keys := map[string][]byte{}
	for _, id := range ids {
		keys[id] = bytes.Repeat([]byte(id[:1]), 32)
	}
	codec, err := NewAESGCM(active, keys)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{cfg: ClientConfig{Codec: codec}}
}

// anyDoc draws a JSON document, some of which look like encoded values.
func anyDoc(t *rapid.T, depth int) any {
	kinds := 7
	if depth == 0 {
		kinds = 4
	}
	switch rapid.IntRange(0, kinds).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Int32().Draw(t, "number")
	case 3, 4:
		return rapid.String().Draw(t, "string")
	case 5:
		return map[string]any{"$encoded": anyDoc(t, depth-1), "data": anyDoc(t, depth-1)}
	case 6:
		m := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "members") {
			m[rapid.String().Draw(t, "name")] = anyDoc(t, depth-1)
		}
		return m
	}
	list := []any{}
	for range rapid.IntRange(0, 4).Draw(t, "items") {
		list = append(list, anyDoc(t, depth-1))
	}
	return list
}

// TestCodec_EveryDocumentComesBack, alone and among what the engine makes of encoded values, and a list
// stays a list of as many items at every depth.
func TestCodec_EveryDocumentComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := testCodec(&testing.T{}, "1", "1")
		doc, err := json.Marshal(anyDoc(t, 3))
		if err != nil {
			t.Fatal(err)
		}
		if isEncoded(doc) {
			t.Skip("it looks like an encoded value and is left alone")
		}
		sealed, err := c.seal(doc)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.seal(doc)
		if err != nil || !bytes.Equal(sealed, again) {
			t.Fatalf("%s was encoded as %s and as %s", doc, sealed, again)
		}
		sameShape(t, doc, sealed)
		for _, around := range [][2]string{{"", ""}, {`{"a":`, `,"b":1}`}, {`[1,{"value":`, `},{"error":{"message":"x"}}]`}} {
			want := around[0] + string(doc) + around[1]
			got, err := c.unseal([]byte(around[0] + string(sealed) + around[1]))
			if err != nil || string(got) != want {
				t.Fatalf("%s came back as %s, %v", want, got, err)
			}
		}
	})
}

func sameShape(t *rapid.T, plain, sealed []byte) {
	if plain[0] != '[' {
		if string(plain) != "null" && !isEncoded(sealed) {
			t.Fatalf("%s is stored as %s", plain, sealed)
		}
		return
	}
	var a, b []json.RawMessage
	if json.Unmarshal(plain, &a) != nil || json.Unmarshal(sealed, &b) != nil || len(a) != len(b) {
		t.Fatalf("the list %s is stored as %s", plain, sealed)
	}
	for i := range a {
		if string(a[i]) != "null" {
			sameShape(t, a[i], b[i])
		}
	}
}

// TestAESGCM_EqualItemsOfAListLookDifferent, and equal documents the same.
func TestAESGCM_EqualItemsOfAListLookDifferent(t *testing.T) {
	c := testCodec(t, "1", "1")
	list, err := c.seal([]byte(`[true,true,[true]]`))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(list), `"data":"`)
	seen := map[string]bool{}
	for _, p := range parts[1:] {
		seen[p[:20]] = true
	}
	if len(parts) != 4 || len(seen) != 3 {
		t.Errorf("stored as %s", list)
	}
}

// TestAESGCM_ChangesAreFound: a value, its key's id or its nonce that was changed does not decode.
func TestAESGCM_ChangesAreFound(t *testing.T) {
	c := testCodec(t, "1", "1", "1copy")
	good, err := c.cfg.Codec.Encode([]byte(`{"amount":10}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good.Data {
		bad := good
		bad.Data = bytes.Clone(good.Data)
		bad.Data[i] ^= 1
		if _, err := c.cfg.Codec.Decode(bad); err == nil {
			t.Errorf("a flipped bit in byte %d was not found", i)
		}
	}
	renamed := good
	renamed.Key = "1copy" // the same secret under another id
	for name, bad := range map[string]Encoded{
		"another key id": renamed, "cut short": {Codec: good.Codec, Key: good.Key, Data: good.Data[:5]},
		"unknown key": {Codec: good.Codec, Key: "9", Data: good.Data}, "another codec": {Codec: "rot13", Key: good.Key, Data: good.Data},
	} {
		if _, err := c.cfg.Codec.Decode(bad); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestNewAESGCM_MistakesAreReportedTogether(t *testing.T) {
	_, err := NewAESGCM("none", map[string][]byte{"short": []byte("x"), "a/b": bytes.Repeat([]byte("k"), 32)})
	for _, want := range []string{`"short": a key has`, `"a/b": an id has`, `active key "none"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}

func TestUnseal_WithoutACodecSaysSo(t *testing.T) {
	sealed, err := testCodec(t, "1", "1").seal([]byte(`[1]`))
	if err != nil {
		t.Fatal(err)
	}
	plain := &Client{}
	if _, err := plain.unseal(sealed); !errors.Is(err, ErrSealed) || !strings.Contains(err.Error(), "ClientConfig.Codec") {
		t.Errorf("%v", err)
	}
	if doc, err := plain.unsealRaw(sealed); err != nil || !bytes.Equal(doc, sealed) {
		t.Errorf("%s, %v", doc, err)
	}
}
