// What the buckets are to say: the figure of the report, for the requests of the operation and no others.

package main

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	limitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

// Envoy refuses to fill a bucket more often.
const leastFill = 50 * time.Millisecond

// Whole tokens may lose so much of a rate, unless filled as seldom as once a minute.
const leastKept = 0.95

// limit is what a service, or with a path the requests for it, is to be let have.
type limit struct {
	Service string  `json:"service"`
	Method  string  `json:"method"`
	Path    string  `json:"path"`
	Rate    float64 `json:"rate"`
}

// check compares all buckets with all limits.
func check(services []service, wanted []limit) error {
	var wrong []error
	for _, one := range services {
		is := func(of limit) bool { return of.Service == one.name }
		wrong = append(wrong, about(ofService(one, wanted, is), "%s: http_filters", one.name))
		routes := 0
		for _, want := range wanted {
			if is(want) && want.Path != "" {
				routes++
				wrong = append(wrong, about(ofRoute(one.routes, want), "%s: %s %s", one.name, want.Method, want.Path))
			}
		}
		if len(one.routes) != routes {
			wrong = append(wrong, fmt.Errorf("%s: %d routes, the report has %d", one.name, len(one.routes), routes))
		}
	}
	for _, want := range wanted {
		if !slices.ContainsFunc(services, func(one service) bool { return one.name == want.Service }) {
			wrong = append(wrong, fmt.Errorf("%s: nothing was exported", want.Service))
		}
	}
	return errors.Join(wrong...)
}

// ofService: the filter has the bucket of the service as a whole, or none.
func ofService(one service, wanted []limit, is func(limit) bool) error {
	if len(one.filters) != 1 || one.filters[0].GetName() != filterName {
		return fmt.Errorf("not the one filter %s: %v", filterName, one.filters)
	}
	found, err := rateLimit(one.filters[0].GetTypedConfig())
	if err != nil {
		return err
	}
	at := slices.IndexFunc(wanted, func(of limit) bool { return is(of) && of.Path == "" })
	if at >= 0 {
		return bucket(found, wanted[at].Rate)
	}
	if found.GetTokenBucket() != nil {
		return fmt.Errorf("the report has no rate for the service, the rule %v", found.GetTokenBucket())
	}
	return nil
}

// ofRoute: the first route that takes the operation's requests has its bucket.
func ofRoute(routes []*routev3.Route, want limit) error {
	for _, route := range routes {
		takes, err := matches(route.GetMatch(), want)
		if err != nil {
			return err
		}
		if !takes {
			continue
		}
		if route.GetRoute().GetCluster() != want.Service {
			return fmt.Errorf("the route leads to %q", route.GetRoute().GetCluster())
		}
		found, err := rateLimit(route.GetTypedPerFilterConfig()[filterName])
		if err != nil {
			return err
		}
		return bucket(found, want.Rate)
	}
	return errors.New("no route takes it")
}

func matches(match *routev3.RouteMatch, want limit) (bool, error) {
	for _, header := range match.GetHeaders() {
		if header.GetName() != ":method" {
			return false, fmt.Errorf("a match by the header %s", header.GetName())
		}
		if header.GetStringMatch().GetExact() != want.Method {
			return false, nil
		}
	}
	switch path := match.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Path:
		return path.Path == want.Path, nil
	case *routev3.RouteMatch_SafeRegex:
		// Go's syntax is RE2's, as Envoy's is, and Envoy matches the whole path.
		regex, err := regexp.Compile("^(?:" + path.SafeRegex.GetRegex() + ")$")
		if err != nil {
			return false, err
		}
		return regex.MatchString(want.Path), nil
	default:
		return false, fmt.Errorf("a match by %T", path)
	}
}

// bucket: whole tokens of the rate, for all requests, and no larger burst.
func bucket(found *limitv3.LocalRateLimit, rate float64) error {
	for name, fraction := range map[string]*corev3.RuntimeFractionalPercent{
		"filter_enabled": found.GetFilterEnabled(), "filter_enforced": found.GetFilterEnforced(),
	} {
		of := fraction.GetDefaultValue()
		if of.GetNumerator() != 100 || of.GetDenominator() != typev3.FractionalPercent_HUNDRED {
			return fmt.Errorf("%s is %v", name, of)
		}
	}
	tokens := found.GetTokenBucket()
	every, each := tokens.GetFillInterval().AsDuration(), tokens.GetTokensPerFill().GetValue()
	if every < leastFill {
		return fmt.Errorf("a fill_interval of %v, Envoy takes %v or more", every, leastFill)
	}
	whole := math.Floor(rate*every.Seconds() + 1e-6)
	if float64(each) != whole || each != tokens.GetMaxTokens() {
		return fmt.Errorf("%v, the report has %.4f per second", tokens, rate)
	}
	if whole < leastKept*rate*every.Seconds() && every < time.Minute {
		return fmt.Errorf("%v loses more than a twentieth of %.4f per second", tokens, rate)
	}
	return nil
}
