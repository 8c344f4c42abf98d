package sdk

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const aesgcmName = "aes-gcm"

// aesgcm encrypts values by AES-GCM with a nonce derived from the value.
//
// A nonce drawn at random is the usual way, and would make every submission of the same input another
// document: a program that repeats a Submit under its JobID after a crash would be refused, and a unique
// key derived from the input would never meet itself. So the nonce is a keyed hash (HMAC-SHA-256, under
// its own key) of key id, salt and plain text. What an onlooker learns is which documents are equal; of
// items within lists not even that, for their salt is the list around them and their place.
type aesgcm struct {
	active string
	keys   map[string]aesKey
}

type aesKey struct {
	aead  cipher.AEAD
	nonce []byte // HMAC key
}

// NewAESGCM is a codec that encrypts with AES-GCM. keys are the secrets by their ids, each of 16, 24 or 32
// random bytes; active is the id of the one that encrypts, and all of them decrypt. To change the key: give all
// programs the new one, then make it active, and take the old one out when nothing encoded with it is
// left (jobs are gone after their retention). Ids have 1 to 64 characters of A-Z a-z 0-9 . _ -, and are
// stored beside each value, in the clear and protected against change.
//
// What is encrypted can be neither read nor changed without the key; but a value can be put in another
// one's place by somebody who can write to the cluster, and equal documents look equal. Do not encrypt
// more than 2^32 values under one key.
func NewAESGCM(active string, keys map[string][]byte) (Codec, error) {
	c := &aesgcm{active: active, keys: map[string]aesKey{}}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		k, err := newAESKey(id, keys[id])
		if err != nil {
			errs = append(errs, fmt.Errorf("key %q: %w", id, err))
		}
		c.keys[id] = k
	}
	if _, ok := keys[active]; !ok {
		errs = append(errs, fmt.Errorf("the active key %q is not among the keys", active))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("sdk: aes-gcm: %w", errors.Join(errs...))
	}
	return c, nil
}

func newAESKey(id string, secret []byte) (k aesKey, err error) {
	if len(id) == 0 || len(id) > 64 || strings.Contains(id, "/") || !validName(id) {
		return k, errors.New("an id has 1 to 64 characters of A-Z a-z 0-9 . _ -")
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return k, errors.New("a key has 16, 24 or 32 random bytes")
	}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		return k, err
	}
	k.nonce, err = hkdf.Key(sha256.New, secret, nil, "fanfold aes-gcm nonce", sha256.Size)
	return k, err
}

func (c *aesgcm) Encode(plain, salt []byte) (Encoded, error) {
	k := c.keys[c.active]
	h := hmac.New(sha256.New, k.nonce)
	sum := sha256.Sum256(salt)
	h.Write(sum[:])
	h.Write(plain)
	nonce := h.Sum(nil)[:k.aead.NonceSize()]
	return Encoded{Codec: aesgcmName, Key: c.active, Data: k.aead.Seal(nonce, nonce, plain, []byte(aesgcmName+"/"+c.active))}, nil
}

func (c *aesgcm) Decode(e Encoded) ([]byte, error) {
	k, ok := c.keys[e.Key]
	switch {
	case e.Codec != aesgcmName:
		return nil, fmt.Errorf("this codec is %s", aesgcmName)
	case !ok:
		return nil, errors.New("this program does not have the key")
	case len(e.Data) < k.aead.NonceSize():
		return nil, errors.New("the value is cut short")
	}
	n := k.aead.NonceSize()
	plain, err := k.aead.Open(nil, e.Data[:n], e.Data[n:], []byte(aesgcmName+"/"+e.Key))
	if err != nil {
		return nil, errors.New("the value was changed, or encrypted with another key of this id")
	}
	return plain, nil
}
