// Package top shows what the embedded platform does: as a screen that goes on, with
// requests per second, or once as a table.
package top

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/local"
	"github.com/kn-lite/kn-lite/internal/local/view"
	"github.com/kn-lite/kn-lite/internal/term"
)

// Empty is what stands where no service is.
const Empty = "nothing is deployed yet: kn-lite func create hello -l go && cd hello && kn-lite deploy"

// Watch shows the platform's state, each time that every has passed, until ctx ends;
// also while the platform is away.
func Watch(ctx context.Context, place local.Place, every time.Duration, show func(term.Screen)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	rates := &meter{}
	for {
		info, err := place.Running()
		var state *view.State
		if err == nil && info != nil {
			state, err = info.State(ctx)
		}
		if state != nil {
			rates.update(state)
		}
		show(rates.screen(info, err))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// meter is the last state, and the requests per second up to it.
type meter struct {
	state *view.State
	rates map[string]float64 // by NAMESPACE/REVISION
}

// update takes in a state and works out what has happened since the one before.
func (m *meter) update(state *view.State) {
	rates := make(map[string]float64, len(m.rates))
	if m.state != nil {
		before := totals(m.state)
		seconds := state.At.Sub(m.state.At).Seconds()
		for key, total := range totals(state) {
			// A platform that was started anew counts from zero.
			if was, known := before[key]; known && total >= was && seconds > 0 {
				rates[key] = float64(total-was) / seconds
			}
		}
	}
	m.state, m.rates = state, rates
}

func totals(state *view.State) map[string]uint64 {
	out := make(map[string]uint64, len(state.Services))
	for _, svc := range state.Services {
		for _, r := range svc.Revisions {
			out[svc.Namespace+"/"+r.Name] = r.Requests.Total
		}
	}
	return out
}

// screen shows the state; info is nil and err set while the platform does not answer.
func (m *meter) screen(info *local.Info, err error) term.Screen {
	out := term.Screen{
		Title: "kn-lite local", Empty: Empty,
		Columns: []term.Column{
			{Head: "SERVICE"},
			{Head: "REVISION"},
			{Head: "TRAFFIC"},
			{Head: "READY"},
			{Head: "INSTANCES"},
			{Head: "REQ/S", Right: true},
			{Head: "MEDIAN", Right: true},
			{Head: "P95", Right: true},
			{Head: "REQUESTS", Right: true},
			{Head: "FAILED", Right: true},
		},
	}
	switch {
	case err != nil:
		out.Problem = "the platform does not answer, this is old: " + err.Error()
	case info == nil:
		out.Problem = "the platform does not run, this is old; start it with kn-lite local up"
	}
	if m.state == nil {
		return out
	}
	sum := 0.0
	for _, rate := range m.rates {
		sum += rate
	}
	out.Title = fmt.Sprintf("kn-lite local   %s   %s   %s req/s", countOf(len(m.state.Services), "service"), countOf(m.state.Instances, "instance"), perSecond(sum))
	several := slices.ContainsFunc(m.state.Services, func(s view.Service) bool { return s.Namespace != m.state.Services[0].Namespace })
	for _, svc := range m.state.Services {
		name := svc.Name
		if several {
			name = svc.Namespace + "/" + svc.Name
		}
		shown := shownRevisions(svc)
		for i, r := range shown {
			out.Rows = append(out.Rows, m.row(name, svc, r, i == 0))
		}
		if len(shown) == 0 {
			out.Rows = append(out.Rows, term.ScreenRow{Key: svc.Namespace + "/" + svc.Name + "/", Cells: []term.Cell{{Text: name, Tone: term.Strong}, {}, {}, readyCell(svc.Ready, svc.Reason)}, Detail: detail(svc, nil)})
		}
	}
	return out
}

func (m *meter) row(name string, svc view.Service, r view.Revision, first bool) term.ScreenRow {
	tone := term.Faint
	if first {
		tone = term.Strong
	}
	instances, instancesTone := instancesOf(r.Pods)
	failed := term.Cell{Text: fmt.Sprint(r.Requests.Failed)}
	if r.Requests.Failed > 0 {
		failed.Tone = term.Bad
	}
	revision := strings.TrimPrefix(r.Name, svc.Name+"-")
	for _, tag := range r.Tags {
		revision += " #" + tag
	}
	return term.ScreenRow{
		Key: svc.Namespace + "/" + svc.Name + "/" + r.Name,
		Cells: []term.Cell{
			{Text: name, Tone: tone},
			{Text: revision},
			{Text: bar(r.Percent)},
			readyCell(r.Ready, r.Reason),
			{Text: instances, Tone: instancesTone},
			{Text: perSecond(m.rates[svc.Namespace+"/"+r.Name])},
			{Text: took(r.Requests.Median)},
			{Text: took(r.Requests.P95)},
			{Text: fmt.Sprint(r.Requests.Total)},
			failed,
		},
		Detail: detail(svc, &r),
	}
}

// shownRevisions leaves out those that do nothing, but for the newest.
func shownRevisions(svc view.Service) []view.Revision {
	var out []view.Revision
	for i, r := range svc.Revisions {
		if i == 0 || r.Percent > 0 || len(r.Pods) > 0 || len(r.Tags) > 0 {
			out = append(out, r)
		}
	}
	return out
}

func detail(svc view.Service, r *view.Revision) []string {
	out := []string{cmp.Or(svc.URL, svc.Name)}
	because := func(what, ready, reason, message string) {
		if ready != "True" && reason+message != "" {
			out = append(out, what+": "+strings.Trim(reason+": "+message, ": "))
		}
	}
	if r == nil {
		because(svc.Name, svc.Ready, svc.Reason, svc.Message)
		return out
	}
	because(r.Name, r.Ready, r.Reason, r.Message)
	if len(out) == 1 {
		because(svc.Name, svc.Ready, svc.Reason, svc.Message)
	}
	var pods []string
	for _, p := range r.Pods {
		text := p.Name + " " + p.State
		if p.Restarts > 0 {
			text += " (" + countOf(int(p.Restarts), "restart") + ")"
		}
		pods = append(pods, text)
	}
	if len(pods) > 0 {
		out = append(out, strings.Join(pods, ", "))
	}
	return out
}

func readyCell(ready, reason string) term.Cell {
	switch ready {
	case "True":
		return term.Cell{Text: "Ready", Tone: term.Good}
	case "False":
		return term.Cell{Text: cmp.Or(reason, "Not ready"), Tone: term.Bad}
	}
	return term.Cell{Text: cmp.Or(reason, "Starting"), Tone: term.Waiting}
}

// instancesOf is "3", "1 + 2 Starting" or "0".
func instancesOf(pods []view.Pod) (string, term.Tone) {
	serving, tone := 0, term.Plain
	others := map[string]int{}
	var order []string
	for _, p := range pods {
		if p.State == "Serving" {
			serving++
			continue
		}
		if others[p.State]++; others[p.State] == 1 {
			order = append(order, p.State)
		}
		if p.State != "Starting" && p.State != "Stopping" {
			tone = term.Bad
		} else if tone == term.Plain {
			tone = term.Waiting
		}
	}
	text := fmt.Sprint(serving)
	for _, state := range order {
		text += fmt.Sprintf(" + %d %s", others[state], state)
	}
	return text, tone
}

// bar is a share as a bar of ten, with its figure.
func bar(percent int64) string {
	full := int(min(100, max(0, percent))+5) / 10
	return strings.Repeat("■", full) + strings.Repeat("·", 10-full) + fmt.Sprintf(" %3d %%", percent)
}

func perSecond(rate float64) string {
	switch {
	case rate == 0:
		return "0"
	case rate < 10:
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

func took(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%.0fms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

func countOf(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// Table is the state once, for who has no terminal: requests as a total.
func Table(state *view.State) *term.Table {
	table := term.NewTable("NAMESPACE", "SERVICE", "REVISION", "TRAFFIC", "READY", "INSTANCES", "REQUESTS", "FAILED", "MEDIAN", "P95")
	for _, svc := range state.Services {
		for _, r := range shownRevisions(svc) {
			instances, _ := instancesOf(r.Pods)
			table.Row(svc.Namespace, svc.Name, r.Name, fmt.Sprintf("%d %%", r.Percent), readyCell(r.Ready, r.Reason).Text, instances,
				fmt.Sprint(r.Requests.Total), fmt.Sprint(r.Requests.Failed), took(r.Requests.Median), took(r.Requests.P95))
		}
		if len(svc.Revisions) == 0 {
			table.Row(svc.Namespace, svc.Name, "", "", readyCell(svc.Ready, svc.Reason).Text)
		}
	}
	return table
}
