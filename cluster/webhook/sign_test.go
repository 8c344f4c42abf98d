package webhook

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// The example of the Standard Webhooks specification and its libraries.
const (
	exampleSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	exampleID     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	exampleTime   = 1614265330
	exampleBody   = `{"test": 2432232314}`
	exampleSum    = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func secret(t testing.TB, scheme, text string) []byte {
	t.Helper()
	key, err := ParseSecret(scheme, text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestSign_IsThatOfTheSpecification(t *testing.T) {
	h := http.Header{}
	Sign(h, [][]byte{secret(t, Standard, exampleSecret)}, exampleID, time.Unix(exampleTime, 0), []byte(exampleBody))
	if got := h.Get("webhook-signature"); got != exampleSum {
		t.Fatalf("signature %s, want %s", got, exampleSum)
	}
	if h.Get("webhook-id") != exampleID || h.Get("webhook-timestamp") != "1614265330" {
		t.Fatalf("headers %v", h)
	}
}

func TestVerify_Standard(t *testing.T) {
	now := time.Unix(exampleTime, 0)
	key, other := secret(t, Standard, exampleSecret), []byte("another key of some length")
	signed := func(keys ...[]byte) http.Header {
		h := http.Header{}
		Sign(h, keys, exampleID, now, []byte(exampleBody))
		return h
	}
	without := func(name string) http.Header {
		h := signed(key)
		h.Del(name)
		return h
	}
	for _, c := range []struct {
		name string
		h    http.Header
		body string
		live [][]byte
		now  time.Time
		want error
	}{
		{"right", signed(key), exampleBody, [][]byte{key}, now, nil},
		{"the receiver knows the old secret and the new", signed(key), exampleBody, [][]byte{other, key}, now, nil},
		{"the sender signs by both", signed(other, key), exampleBody, [][]byte{key}, now, nil},
		{"another secret", signed(other), exampleBody, [][]byte{key}, now, ErrSignature},
		{"another body", signed(key), exampleBody + " ", [][]byte{key}, now, ErrSignature},
		{"no secret at all", signed(key), exampleBody, nil, now, ErrSignature},
		{"at the tolerance", signed(key), exampleBody, [][]byte{key}, now.Add(5 * time.Minute), nil},
		{"too old", signed(key), exampleBody, [][]byte{key}, now.Add(5*time.Minute + time.Second), ErrTime},
		{"from the future", signed(key), exampleBody, [][]byte{key}, now.Add(-5*time.Minute - time.Second), ErrTime},
		{"no id", without(HeaderID), exampleBody, [][]byte{key}, now, ErrIncomplete},
		{"no time", without(HeaderTimestamp), exampleBody, [][]byte{key}, now, ErrIncomplete},
		{"no signature", without(HeaderSignature), exampleBody, [][]byte{key}, now, ErrIncomplete},
	} {
		m, err := Verify(Standard, c.h, []byte(c.body), c.live, c.now, 5*time.Minute)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err == nil && m.ID != exampleID {
			t.Errorf("%s: id %q", c.name, m.ID)
		}
	}
}

// The example of GitHub's documentation.
func TestVerify_GitHub(t *testing.T) {
	h := http.Header{}
	h.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	h.Set("X-GitHub-Event", "push")
	h.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	key := secret(t, GitHub, "It's a Secret to Everybody")
	m, err := Verify(GitHub, h, []byte("Hello, World!"), [][]byte{key}, time.Time{}, 0)
	if err != nil || m.Event != "push" || !strings.HasPrefix(m.ID, "72d3162e") {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := Verify(GitHub, h, []byte("Hello, World"), [][]byte{key}, time.Time{}, 0); !errors.Is(err, ErrSignature) {
		t.Fatalf("another body: %v", err)
	}
	h.Del("X-Hub-Signature-256")
	if _, err := Verify(GitHub, h, []byte("Hello, World!"), [][]byte{key}, time.Time{}, 0); !errors.Is(err, ErrIncomplete) {
		t.Fatalf("unsigned: %v", err)
	}
}

func TestVerify_Stripe(t *testing.T) {
	key := secret(t, Stripe, "whsec_test_secret") // the prefix belongs to the key
	body := `{"id":"evt_1","type":"charge.succeeded"}`
	at := time.Unix(1700000000, 0)
	right := hex.EncodeToString(sum(key, []byte("1700000000."), []byte(body)))
	for header, want := range map[string]error{
		"t=1700000000,v1=" + right:                    nil,
		"t=1700000000,v1=00ff,v1=" + right + ",v0=aa": nil,
		"t=1700000001,v1=" + right:                    ErrSignature,
		"t=1700000000,v0=" + right:                    ErrIncomplete,
		"v1=" + right:                                 ErrIncomplete,
		"":                                            ErrIncomplete,
	} {
		h := http.Header{"Stripe-Signature": {header}}
		m, err := Verify(Stripe, h, []byte(body), [][]byte{key}, at, time.Minute)
		if !errors.Is(err, want) || err == nil && (m.ID != "evt_1" || m.Event != "charge.succeeded") {
			t.Errorf("%s: %+v, %v", header, m, err)
		}
	}
	h := http.Header{"Stripe-Signature": {"t=1700000000,v1=" + right}}
	if _, err := Verify(Stripe, h, []byte(body), [][]byte{key}, at.Add(time.Hour), time.Minute); !errors.Is(err, ErrTime) {
		t.Errorf("an hour later: %v", err)
	}
}

func TestParseSecret(t *testing.T) {
	key, text := NewSecret()
	if got := secret(t, Standard, text); string(got) != string(key) || len(key) != 32 {
		t.Fatalf("%s came back as %x", text, got)
	}
	if _, err := ParseSecret(Standard, "whsec_***"); err == nil {
		t.Fatal("no base64 was taken")
	}
}

// TestGuard_DialsPublicAddressesOnly: every spelling of an address that is not public.
func TestGuard_DialsPublicAddressesOnly(t *testing.T) {
	g := &Guard{}
	for _, a := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "198.18.0.1",
		"224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.0.192", "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::7f00:1", "64:ff9b::7f00:1",
		"2002:7f00:1::", "2001:0:1::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
	} {
		if g.Allowed(netip.MustParseAddr(a)) {
			t.Errorf("%s is allowed", a)
		}
	}
	for _, a := range []string{"8.8.8.8", "1.1.1.1", "172.32.0.1", "192.169.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"} {
		if !g.Allowed(netip.MustParseAddr(a)) {
			t.Errorf("%s is forbidden", a)
		}
	}
	g.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if !g.Allowed(netip.MustParseAddr("10.1.2.3")) || g.Allowed(netip.MustParseAddr("127.0.0.1")) {
		t.Error("what is allowed by the configuration")
	}
}

// TestGuard_LooksAtTheAddressThatItDials: the name is resolved once, and no address of it is private.
func TestGuard_LooksAtTheAddressThatItDials(t *testing.T) {
	resolved, answers := 0, map[string][]string{"good": {"8.8.8.8"}, "metadata": {"169.254.169.254"}, "both": {"8.8.8.8", "127.0.0.1"}, "none": nil}
	var dialled []string
	g := &Guard{
		Resolve: func(_ context.Context, host string) (all []netip.Addr, err error) {
			resolved++
			for _, a := range answers[host] {
				all = append(all, netip.MustParseAddr(a))
			}
			return all, nil
		},
		Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			return nil, errors.New("no network in tests")
		},
	}
	for _, host := range []string{"good", "metadata", "both", "none", "127.0.0.1", "[::1]"} {
		before := len(dialled)
		_, err := g.DialContext(t.Context(), "tcp", host+":443")
		if host == "good" {
			if resolved != 1 || fmt.Sprint(dialled) != "[8.8.8.8:443]" {
				t.Errorf("good: resolved %d times, dialled %v", resolved, dialled)
			}
			continue
		}
		if err == nil || len(dialled) != before {
			t.Errorf("%s: dialled %v, %v", host, dialled[before:], err)
		}
		if host != "none" && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", host, err)
		}
	}
}
