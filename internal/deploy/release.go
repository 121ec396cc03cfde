package deploy

import (
	"context"
	"errors"
	"strconv"
	"time"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/backoff"
	"github.com/kn-lite/kn-lite/internal/fault"
)

const (
	// generationLabel is on every revision: the generation of the configuration
	// that it is for.
	generationLabel = serving + "configurationGeneration"
	// revisionServiceLabel is on every revision of a service.
	revisionServiceLabel = serving + "service"

	// Controllers answer within a second; a busy cluster takes some, and is not to
	// be made busier by asking for large objects all the time.
	controllerTimeout = 30 * time.Second
	controllerEvery   = 50 * time.Millisecond
	controllerRarely  = time.Second
)

// unname takes the name of a revision out of the service's template again,
// without Knative making another revision of the template.
//
// A name that stays there is in the way of everybody else: whoever changes the
// template without knowing of the name is refused ("changes without a name
// change"). But a template without a name means to Knative "the revision
// labelled with the configuration's generation", and taking the name out makes
// a new generation. So the revision is labelled with that one first.
//
// It is done in one go: an interrupt waits until it is over.
func unname(ctx context.Context, cluster Cluster, service, revision string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), controllerTimeout)
	defer cancel()
	config, err := awaitNamed(ctx, cluster, service, revision)
	if err != nil || config == nil {
		return err
	}
	rev, err := cluster.FindRevision(ctx, revision)
	if err != nil || rev == nil {
		return err
	}
	return claim(ctx, cluster, service, rev, config.Generation+1, func() (bool, error) {
		return clearName(ctx, cluster, service, rev)
	})
}

// claim has Knative take rev for the template that write puts into the service,
// which has no name and makes the configuration's generation next. write reports
// whether it has written it.
func claim(ctx context.Context, cluster Cluster, service string, rev *servingv1.Revision, next int64, write func() (bool, error)) error {
	former := rev.Labels[generationLabel]
	if err := cluster.LabelRevision(ctx, rev.Name, generationLabel, strconv.FormatInt(next, 10)); err != nil {
		return err
	}
	ours, err := write()
	if ours && err == nil {
		ours, err = confirmUnnamed(ctx, cluster, service, rev, next)
	}
	if ours {
		return err
	}
	// Under that label Knative would take the next template, whosever it is, for this revision's.
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer stop()
	return errors.Join(err, cluster.LabelRevision(last, rev.Name, generationLabel, former))
}

// awaitNamed waits until Knative has made the revision that the template
// names. It returns nil when there is nothing to wait for: somebody else has
// replaced the template, or Knative cannot make the revision, which whoever
// waits for it will say.
func awaitNamed(ctx context.Context, cluster Cluster, service, revision string) (*servingv1.Configuration, error) {
	var found *servingv1.Configuration
	err := poll(ctx, func() (bool, error) {
		config, err := cluster.FindConfiguration(ctx, service)
		if err != nil {
			return false, err
		}
		if config != nil && config.Spec.Template.Name == revision && config.Status.ObservedGeneration == config.Generation {
			if config.Status.LatestCreatedRevisionName == revision {
				found = config
			}
			return true, nil
		}
		svc, err := cluster.FindService(ctx, service)
		return err == nil && (svc == nil || svc.Spec.Template.Name != revision), err
	})
	return found, err
}

// clearName writes the template without its name. It reports false when it is
// not written, or not that of rev any more.
func clearName(ctx context.Context, cluster Cluster, service string, rev *servingv1.Revision) (bool, error) {
	for attempt := 0; ; attempt++ {
		svc, err := cluster.FindService(ctx, service)
		if err != nil {
			return false, err
		}
		if svc == nil || svc.Spec.Template.Name != rev.Name {
			// Written also when it was an earlier try whose answer was lost.
			return svc != nil && svc.Spec.Template.Name == "" && isTemplateOf(&svc.Spec.Template, rev), nil
		}
		svc.Spec.Template.Name = ""
		_, err = cluster.UpdateService(ctx, svc, false)
		switch fault.KindOf(err) {
		case fault.Conflict, fault.Transient, fault.Timeout:
			if pause(ctx, attempt) != nil {
				return false, err
			}
		default:
			return err == nil, err
		}
	}
}

// confirmUnnamed waits until the configuration has taken rev for its new
// generation. It reports false when that generation is somebody else's template.
// A revision that Knative made nevertheless, because it had not seen the label
// yet, is a copy that nobody asked for, and goes.
func confirmUnnamed(ctx context.Context, cluster Cluster, service string, rev *servingv1.Revision, generation int64) (bool, error) {
	ours := true
	err := poll(ctx, func() (bool, error) {
		config, err := cluster.FindConfiguration(ctx, service)
		switch {
		case err != nil:
			return false, err
		case config == nil || config.Generation > generation:
			return true, nil
		case config.Generation < generation || config.Status.ObservedGeneration < generation:
			return false, nil
		case !isTemplateOf(&config.Spec.Template, rev):
			ours = false
			return true, nil
		}
		copied := config.Status.LatestCreatedRevisionName
		if copied == rev.Name {
			return true, nil
		}
		made, err := cluster.FindRevision(ctx, copied)
		if err != nil || made == nil || made.Labels[generationLabel] != strconv.FormatInt(generation, 10) {
			return false, err
		}
		return false, cluster.DeleteRevision(ctx, copied)
	})
	return ours, err
}

// settled reads the service once its configuration has seen its template, so
// that the latest revision in its status is the one of its template.
func settled(ctx context.Context, cluster Cluster, service string) (*servingv1.Service, error) {
	bounded, cancel := context.WithTimeout(ctx, controllerTimeout)
	defer cancel()
	var found *servingv1.Service
	err := poll(bounded, func() (bool, error) {
		svc, err := cluster.FindService(bounded, service)
		if err != nil {
			return false, err
		}
		found = svc
		return svc == nil || configured(svc), nil
	})
	if err != nil && found != nil && ctx.Err() == nil {
		return found, nil // a controller that is down is reported where it matters
	}
	return found, err
}

// configured reports whether the configuration has seen the service's template.
func configured(svc *servingv1.Service) bool {
	if svc.Status.ObservedGeneration < svc.Generation {
		return false
	}
	c := svc.Status.GetCondition(servingv1.ServiceConditionConfigurationsReady)
	return c == nil || c.Reason != "OutOfDate"
}

// poll asks until done, an error or the end of ctx, less often as time goes by.
func poll(ctx context.Context, done func() (bool, error)) error {
	return backoff.Policy{First: controllerEvery, Max: controllerRarely, Factor: 1.25}.Poll(ctx, done)
}
