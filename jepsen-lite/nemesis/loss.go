package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/fanfold/fanfold/jepsen-lite/site"
)

// NamespaceVariable is set in the environment of a run that has a network namespace of its own.
const NamespaceVariable = "FANFOLD_CHAOS_NETNS"

func init() {
	register(Nemesis{
		Name: "netns-loss", About: "2 to 15 % of all packets are lost, in a network namespace of the run's own (root, on Linux, with ip and tc)", Least: 2 * time.Second, Most: 6 * time.Second, Namespace: true,
		Strike: losePackets,
	})
}

// losePackets drops packets of the loopback device as they are sent. The usual way, the queueing discipline netem, is
// missing from many kernels of virtual machines; the classifier for BPF, which this takes, is nearly always there.
func losePackets(ctx context.Context, _ *site.Site, r *rand.Rand) (string, func(context.Context) (string, error), error) {
	if os.Getenv(NamespaceVariable) == "" {
		return "", nil, errors.New("the run has no network namespace of its own: it would lose packets of the whole machine")
	}
	percent := 2 + r.IntN(14)
	before, err := retransmitted()
	if err != nil {
		return "", nil, err
	}
	if err := tc(ctx, "qdisc", "add", "dev", "lo", "clsact"); err != nil {
		return "", nil, err
	}
	if err := tc(ctx, "filter", "add", "dev", "lo", "egress", "bpf", "da", "bytecode", lossProgram(percent)); err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("%d %% of all packets", percent), func(ctx context.Context) (string, error) {
		if err := tc(ctx, "qdisc", "del", "dev", "lo", "clsact"); err != nil { // and with it the filter
			return "", err
		}
		after, err := retransmitted()
		if err != nil || after == before {
			return "", err
		}
		return fmt.Sprintf("%d segments were sent again", after-before), nil
	}, nil
}

// lossProgram is a program of classic BPF that drops a packet in so many of a hundred cases: load a random number,
// jump by it, return TC_ACT_SHOT or TC_ACT_OK.
func lossProgram(percent int) string {
	const random = 0xfffff000 + 56 // SKF_AD_OFF + SKF_AD_RANDOM
	return fmt.Sprintf("4,32 0 0 %d,37 1 0 %d,6 0 0 2,6 0 0 0", uint32(random), uint64(percent)*(1<<32)/100)
}

func tc(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "tc", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("tc %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// retransmitted is how many TCP segments were sent again in this namespace.
func retransmitted() (uint64, error) {
	content, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		return 0, err
	}
	var names []string
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || fields[0] != "Tcp:":
		case names == nil:
			names = fields
		default:
			for i, name := range names {
				if name == "RetransSegs" && i < len(fields) {
					return strconv.ParseUint(fields[i], 10, 64)
				}
			}
		}
	}
	return 0, errors.New("/proc/net/snmp does not count what TCP sends again")
}
