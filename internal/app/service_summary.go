package app

import (
	"slices"
	"time"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// What programs read about services, in JSON: fields are added and never changed.

// ServiceInfo is a service in a list.
type ServiceInfo struct {
	Name          string       `json:"name"`
	Namespace     string       `json:"namespace"`
	URL           string       `json:"url,omitempty"`
	Ready         string       `json:"ready"` // True, False or Unknown
	Reason        string       `json:"reason,omitempty"`
	Message       string       `json:"message,omitempty"`
	LatestReady   string       `json:"latestReadyRevision,omitempty"`
	LatestCreated string       `json:"latestCreatedRevision,omitempty"`
	Generation    int64        `json:"generation"`
	Created       time.Time    `json:"created"`
	Traffic       []TargetInfo `json:"traffic"` // as routed
}

// TargetInfo is one target of a split.
type TargetInfo struct {
	Revision string `json:"revision,omitempty"` // none in a spec that follows the latest
	Latest   bool   `json:"latestRevision"`
	Percent  int    `json:"percent"`
	Tag      string `json:"tag,omitempty"`
	URL      string `json:"url,omitempty"`
	Ready    string `json:"ready,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// ServiceDetail is a service with its revisions.
type ServiceDetail struct {
	ServiceInfo
	Spec       []TargetInfo    `json:"spec"`
	Settled    bool            `json:"settled"`
	Domains    []DomainInfo    `json:"domains"` // that lead to it by a DomainMapping
	Conditions []ConditionInfo `json:"conditions"`
	Revisions  []RevisionInfo  `json:"revisions"` // the newest first
}

// DomainInfo is a domain that leads to a service.
type DomainInfo struct {
	Name    string `json:"name"`
	URL     string `json:"url,omitempty"`
	Ready   string `json:"ready"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// ConditionInfo is one line of an object's status.
type ConditionInfo struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since"`
}

// RevisionInfo is a revision, with its share as it is routed.
type RevisionInfo struct {
	Name       string          `json:"name"`
	Generation int64           `json:"generation"`
	Ready      string          `json:"ready"`
	Reason     string          `json:"reason,omitempty"`
	Message    string          `json:"message,omitempty"`
	Percent    int             `json:"percent"` // of the traffic, as routed
	Tags       []string        `json:"tags,omitempty"`
	Replicas   int             `json:"replicas"`
	Image      string          `json:"image"`
	Commit     string          `json:"commit,omitempty"`
	Created    time.Time       `json:"created"`
	Conditions []ConditionInfo `json:"conditions"`
}

// SummarizeService returns a service as programs read it.
func SummarizeService(snap *traffic.Snapshot) ServiceInfo {
	return ServiceInfo{
		Name: snap.Name, Namespace: snap.Namespace, URL: snap.URL,
		Ready: string(snap.Ready), Reason: snap.Reason, Message: snap.Message,
		LatestReady: snap.LatestReady, LatestCreated: snap.LatestCreated,
		Generation: snap.Generation, Created: snap.Created.UTC(),
		Traffic: SummarizeSplit(snap.Observed, snap.LatestReady, nil),
	}
}

// SummarizeSplit returns a split as programs read it, with the states of the revisions
// that are given.
func SummarizeSplit(split traffic.Split, latest string, revisions []traffic.Revision) []TargetInfo {
	out := make([]TargetInfo, len(split))
	for i, t := range split {
		out[i] = TargetInfo{Revision: t.Revision, Latest: t.Latest, Percent: t.Percent, Tag: t.Tag, URL: t.URL}
		if r := FindRevision(revisions, t.Pin(latest)); r != nil {
			out[i].Ready, out[i].Reason = string(r.State), r.Reason
		}
	}
	return out
}

// FindRevision returns the revision of that name, nil if there is none.
func FindRevision(revisions []traffic.Revision, name string) *traffic.Revision {
	i := slices.IndexFunc(revisions, func(r traffic.Revision) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &revisions[i]
}

// SummarizeView returns a service with its revisions as programs read it.
func SummarizeView(view *cluster.View) ServiceDetail {
	detail := ServiceDetail{
		ServiceInfo: SummarizeService(view.Snapshot),
		Spec:        SummarizeSplit(view.Spec.Normal(), view.LatestReady, nil),
		Settled:     view.Routes(),
		Domains:     make([]DomainInfo, len(view.Domains)),
		Conditions:  conditionsOf(view.Conditions),
		Revisions:   make([]RevisionInfo, len(view.Revisions)),
	}
	for i, d := range view.Domains {
		detail.Domains[i] = DomainInfo{Name: d.Name, URL: d.URL, Ready: string(d.Ready), Reason: d.Reason, Message: d.Message}
	}
	for i, r := range view.Revisions {
		detail.Revisions[i] = RevisionInfo{
			Name: r.Name, Generation: r.Generation, Ready: string(r.State), Reason: r.Reason, Message: r.Message,
			Percent: view.Observed.Percent(r.Name, view.LatestReady), Tags: tagsOf(view.Observed, r.Name, view.LatestReady),
			Replicas: r.Replicas, Image: r.Image, Commit: r.Commit, Created: r.Created.UTC(),
			Conditions: conditionsOf(r.Conditions),
		}
	}
	return detail
}

func conditionsOf(conditions []cluster.Condition) []ConditionInfo {
	out := make([]ConditionInfo, len(conditions))
	for i, c := range conditions {
		out[i] = ConditionInfo{Type: c.Type, Status: string(c.State), Reason: c.Reason, Message: c.Message, Since: c.Since.UTC()}
	}
	return out
}

func tagsOf(split traffic.Split, revision, latest string) []string {
	var out []string
	for _, t := range split {
		if t.Tag != "" && t.Pin(latest) == revision {
			out = append(out, t.Tag)
		}
	}
	return out
}
