// Reads flow rules in the form of Envoy's configuration with Envoy's own types, and checks what they say.
//
// `reader RULES EXPECTED`: RULES is the YAML that was exported, EXPECTED a list of what each service (without a path)
// and each of its operations is to be let have. Unknown fields are refused, each message has to keep the constraints of
// its proto file, and the figures have to be those expected. Prints a line of what was read, or a line for each thing
// that is wrong and ends with 1.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	limitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	managerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

const filterName = "envoy.filters.http.local_ratelimit"

func main() {
	told, err := run(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(told)
}

func run(rules, expected string) (string, error) {
	services, err := read(rules)
	if err != nil {
		return "", err
	}
	var wanted []limit
	if err := readJSON(expected, &wanted); err != nil {
		return "", err
	}
	if err := check(services, wanted); err != nil {
		return "", err
	}
	return fmt.Sprintf("go-control-plane %s, %d buckets read by protojson and valid", version(), len(wanted)), nil
}

// service is an entry of the exported document, whose parts are Envoy's.
type service struct {
	name    string
	filters []*managerv3.HttpFilter
	routes  []*routev3.Route
}

func read(path string) ([]service, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	// Strict: no key twice.
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, err
	}
	var document struct {
		Services []struct {
			Service string            `json:"service"`
			Filters []json.RawMessage `json:"http_filters"`
			Routes  []json.RawMessage `json:"routes"`
		} `json:"services"`
	}
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&document); err != nil {
		return nil, err
	}
	var services []service
	var wrong []error
	for _, found := range document.Services {
		one := service{name: found.Service}
		for _, raw := range found.Filters {
			filter := new(managerv3.HttpFilter)
			wrong = append(wrong, about(message(raw, filter), "%s: http_filters", found.Service))
			one.filters = append(one.filters, filter)
		}
		for _, raw := range found.Routes {
			route := new(routev3.Route)
			wrong = append(wrong, about(message(raw, route), "%s: routes", found.Service))
			one.routes = append(one.routes, route)
		}
		services = append(services, one)
	}
	return services, errors.Join(wrong...)
}

// message reads one of Envoy's messages, refuses fields that it does not know, and checks its constraints.
func message(raw json.RawMessage, into interface {
	proto.Message
	ValidateAll() error
}) error {
	if err := protojson.Unmarshal(raw, into); err != nil {
		return err
	}
	return into.ValidateAll()
}

// rateLimit is what an Any holds, whose constraints the message around it does not check.
func rateLimit(config *anypb.Any) (*limitv3.LocalRateLimit, error) {
	if config == nil {
		return nil, errors.New("it has no configuration of " + filterName)
	}
	found := new(limitv3.LocalRateLimit)
	if err := config.UnmarshalTo(found); err != nil {
		return nil, err
	}
	return found, found.ValidateAll()
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func about(err error, format string, arguments ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(arguments, err)...)
}

// version is that of the module which has Envoy's types.
func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/envoyproxy/go-control-plane/envoy" {
			return module.Version
		}
	}
	return "of unknown version"
}
