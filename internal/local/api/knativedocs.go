package api

// knativeDocs are the descriptions that kubectl explain shows of Knative's types,
// which carry none with them as those of Kubernetes do. "" is the type itself.
func knativeDocs(name string) map[string]string {
	switch name {
	case "Service":
		return map[string]string{
			"":     "Service runs a container image behind a URL: it has a Configuration, which makes a Revision of each change, and a Route, which spreads requests over revisions.",
			"spec": "What is to run, and which revisions get which share of the requests.", "status": "What runs, and where it is reached.",
		}
	case "Configuration":
		return map[string]string{"": "Configuration makes a new Revision of each change of its template.", "spec": "What the next revision is to be.", "status": "Which revisions were made."}
	case "Route":
		return map[string]string{"": "Route spreads the requests to a URL over revisions.", "spec": "Which revisions get which share.", "status": "Where the route is reached, and what its requests go to."}
	case "Revision":
		return map[string]string{"": "Revision is one state of code and configuration. Its spec never changes.", "spec": "What runs.", "status": "Whether it can run, and how many instances do."}
	case "ServiceSpec":
		return map[string]string{"template": "The next revision. A change of it makes one.", "traffic": "The share of each revision. Without it the latest ready revision gets all requests."}
	case "ConfigurationSpec":
		return map[string]string{"template": "The next revision. A change of it makes one."}
	case "RouteSpec":
		return map[string]string{"traffic": "The share of each revision or configuration."}
	case "RevisionTemplateSpec":
		return map[string]string{"": "What a new revision is made from.", "metadata": "Labels and annotations of the revision, such as autoscaling.knative.dev/min-scale; a name has to begin with the service's.", "spec": "What the revision runs."}
	case "RevisionSpec":
		return map[string]string{
			"":                     "What a revision runs: the part of a pod's spec that Knative permits, and limits on requests.",
			"containerConcurrency": "How many requests one instance serves at a time; 0 is without limit.",
			"timeoutSeconds":       "How long a request may take.", "responseStartTimeoutSeconds": "How long a request may take until its answer begins.",
			"idleTimeoutSeconds": "How long a request may stay without a byte from either side.",
		}
	case "TrafficTarget":
		return map[string]string{
			"":    "One revision's share of the requests.",
			"tag": "A name under which this target has a URL of its own.", "revisionName": "The revision that gets the requests.",
			"configurationName": "The configuration whose latest ready revision gets the requests.", "latestRevision": "The latest ready revision gets the requests.",
			"percent": "The share of the requests in percent; all shares sum to 100.", "url": "Where the target with a tag is reached; set by the platform.",
		}
	case "PodAutoscaler":
		return map[string]string{"": "PodAutoscaler decides how many instances of a revision run. The platform makes and changes it."}
	}
	return nil
}
