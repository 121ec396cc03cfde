package rollout

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Series is one value of a metric.
type Series struct {
	Name   string
	Labels map[string]string
	Value  float64
}

// key names a series among all those of one origin.
func (s Series) key() string {
	var out strings.Builder
	out.WriteString(s.Name)
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		fmt.Fprintf(&out, ",%s=%q", name, s.Labels[name])
	}
	return out.String()
}

// longestLine bounds a line of metrics.
const longestLine = 1 << 20

// ParseText reads Prometheus' text format, as every proxy writes it, and leaves out
// what want does not ask for. A line that is not understood is left out as well:
// gateways have thousands of metrics that matter to nobody here.
func ParseText(text []byte, want func(name string) bool) []Series {
	var out []Series
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		name := line[:nameLength(line)]
		if name == "" || !want(name) {
			continue
		}
		if s, ok := parseLine(name, line[len(name):]); ok {
			out = append(out, s)
		}
	}
	return out
}

func nameLength(line string) int {
	n := strings.IndexFunc(line, func(r rune) bool {
		return r != '_' && r != ':' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	return max(n, 0)
}

// parseLine reads what follows a name: {label="value",…} VALUE [TIME].
func parseLine(name, rest string) (Series, bool) {
	s := Series{Name: name, Labels: map[string]string{}}
	rest = strings.TrimSpace(rest)
	if labels, ok := strings.CutPrefix(rest, "{"); ok {
		for {
			labels = strings.TrimLeft(labels, " ,\t")
			if after, ok := strings.CutPrefix(labels, "}"); ok {
				rest = after
				break
			}
			label, quoted, ok := strings.Cut(labels, "=")
			if !ok {
				return s, false
			}
			value, length, ok := unquote(strings.TrimLeft(quoted, " "))
			if !ok {
				return s, false
			}
			s.Labels[strings.TrimSpace(label)] = value
			labels = strings.TrimLeft(quoted, " ")[length:]
		}
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return s, false
	}
	var err error
	s.Value, err = strconv.ParseFloat(fields[0], 64)
	return s, err == nil
}

// unquote reads a quoted value at the beginning of text, and how long it is there.
func unquote(text string) (value string, length int, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		return "", 0, false
	}
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return out.String(), i + 1, true
		case '\\':
			if i++; i == len(text) {
				return "", 0, false
			}
			if text[i] == 'n' {
				out.WriteByte('\n')
			} else {
				out.WriteByte(text[i])
			}
		default:
			out.WriteByte(c)
		}
	}
	return "", 0, false
}

// Dialect is how a proxy names the requests of revisions in its metrics.
type Dialect struct {
	Requests string // counter of answers
	Code     string // its label with the status, or with the first digit of it
	Times    string // buckets of a histogram
	Unit     float64
	Revision string                                       // label with the revision's name; "" where the origin tells
	Prefix   func(namespace string) string                // of the value of Revision; nil: none
	Also     func(namespace string) map[string]string     // other labels that have to be so; nil: none
	Of       func(labels map[string]string) (name string) // instead of Revision: works it out
}

const (
	millisecond = 0.001
	second      = 1.0
)

// KnativeDialect is that of Knative's queue-proxy up to 1.18, and of the embedded platform.
func KnativeDialect() Dialect {
	return Dialect{
		Requests: "revision_app_request_count", Code: "response_code", Times: "revision_app_request_latencies_bucket", Unit: millisecond,
		Revision: "revision_name", Also: func(ns string) map[string]string { return map[string]string{"namespace_name": ns} },
	}
}

// QueueDialect is that of Knative's queue-proxy since 1.19, by OpenTelemetry.
func QueueDialect() Dialect {
	return Dialect{
		Requests: "kn_serving_invocation_duration_seconds_count", Code: "http_response_status_code",
		Times: "kn_serving_invocation_duration_seconds_bucket", Unit: second, Revision: "kn_revision_name",
	}
}

// EnvoyDialect is that of Kourier's gateway, which calls its clusters NAMESPACE/REVISION.
func EnvoyDialect() Dialect {
	return Dialect{
		Requests: "envoy_cluster_upstream_rq_xx", Code: "envoy_response_code_class", Times: "envoy_cluster_upstream_rq_time_bucket", Unit: millisecond,
		Revision: "envoy_cluster_name", Prefix: func(ns string) string { return ns + "/" },
	}
}

// IstioDialect is that of Istio's ingress gateway: a revision has a service of its name.
func IstioDialect() Dialect {
	return Dialect{
		Requests: "istio_requests_total", Code: "response_code", Times: "istio_request_duration_milliseconds_bucket", Unit: millisecond,
		Revision: "destination_service_name",
		Also: func(ns string) map[string]string {
			return map[string]string{"destination_service_namespace": ns, "reporter": "source"}
		},
	}
}

// TraefikDialect is that of Traefik, whose services are the lines of Knative's
// ingress: of says which revision one leads to.
func TraefikDialect(of func(service string) string) Dialect {
	return Dialect{
		Requests: "traefik_service_requests_total", Code: "code", Times: "traefik_service_request_duration_seconds_bucket", Unit: second,
		Of: func(labels map[string]string) string { return of(labels["service"]) },
	}
}

// Query asks Prometheus for what the dialect says of some revisions of a namespace.
func (d Dialect) Query(namespace string, revisions []string) string {
	names := make([]string, len(revisions))
	for i, revision := range revisions {
		if d.Prefix != nil {
			revision = d.Prefix(namespace) + revision
		}
		names[i] = regexp.QuoteMeta(revision)
	}
	matchers := []string{fmt.Sprintf("__name__=~%q", d.Requests+"|"+d.Times), fmt.Sprintf("%s=~%q", d.Revision, strings.Join(names, "|"))}
	if d.Also != nil {
		also := d.Also(namespace)
		for _, label := range slices.Sorted(maps.Keys(also)) {
			matchers = append(matchers, fmt.Sprintf("%s=~%q", label, regexp.QuoteMeta(also[label])+"|")) // or it has none
		}
	}
	return "{" + strings.Join(matchers, ",") + "}"
}

// Knows reports whether a text is the metrics of what speaks the dialect, whether or not
// it has served a request already.
func (d Dialect) Knows(text []byte) bool {
	family, _, _ := strings.Cut(d.Requests, "_")
	return bytes.HasPrefix(text, []byte(family+"_")) || bytes.Contains(text, []byte("\n"+family+"_"))
}

// Wants reports whether a metric is one of the dialect's.
func (d Dialect) Wants(name string) bool { return name == d.Requests || name == d.Times }

// Points returns what series say of a namespace's revisions. revision is the one that
// they are about when they do not say it themselves.
func (d Dialect) Points(all []Series, origin, namespace, revision string) []Point {
	var also map[string]string
	if d.Also != nil {
		also = d.Also(namespace)
	}
	var out []Point
	for _, s := range all {
		name, ok := d.revisionOf(s, namespace, revision)
		if !ok || !d.Wants(s.Name) || !hasLabels(s.Labels, also) {
			continue
		}
		p := Point{Series: origin + " " + s.key(), Revision: name, Value: s.Value}
		if s.Name == d.Times {
			bound, err := strconv.ParseFloat(s.Labels["le"], 64)
			if err != nil || math.IsNaN(bound) {
				continue
			}
			p.Quantity, p.Bound = Bucket, bound*d.Unit
		} else if strings.HasPrefix(s.Labels[d.Code], "5") {
			p.Quantity = Failed
		}
		out = append(out, p)
	}
	return out
}

func (d Dialect) revisionOf(s Series, namespace, revision string) (string, bool) {
	if d.Of != nil {
		name := d.Of(s.Labels)
		return name, name != ""
	}
	name := s.Labels[d.Revision]
	if d.Prefix != nil {
		return strings.CutPrefix(name, d.Prefix(namespace))
	}
	if name == "" {
		name = revision
	}
	return name, name != ""
}

// hasLabels reports whether labels have those values; a label that is missing is none
// of another value: relabelling drops some.
func hasLabels(labels, wanted map[string]string) bool {
	for name, value := range wanted {
		if got, there := labels[name]; there && got != value {
			return false
		}
	}
	return true
}
