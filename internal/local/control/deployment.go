package control

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"knative.dev/pkg/kmeta"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// reconcileDeployment makes and deletes pods until there are as many as the deployment
// wants, and says in its status how many are ready. How many it wants is the
// autoscaler's business.
func (c *Controller) reconcileDeployment(t task) (time.Duration, error) {
	old, ok := store.Get[*appsv1.Deployment](c.Store, t.namespace, t.name)
	if !ok || old.DeletionTimestamp != nil {
		return 0, nil
	}
	hash := templateHash(old)
	steps := planPods(*old.Spec.Replicas, hash, c.podsOf(old))
	for _, pod := range steps.remove {
		if err := c.deletePod(pod); err != nil {
			return 0, err
		}
		c.events.record(old, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: %s", pod.Name)
	}
	var failure error
	for range steps.create {
		if failure = c.createPod(old, hash); failure != nil {
			break
		}
	}
	next := old.DeepCopy()
	after := markReplicas(next, hash, c.podsOf(old), failure, c.Now())
	if err := c.writeStatus(old, next); err != nil {
		return 0, err
	}
	if failure != nil {
		c.events.record(old, corev1.EventTypeWarning, "FailedCreate", "Error creating: %v", failure)
	}
	return after, failure
}

// templateHash distinguishes pods of one template from those of another. It hashes the JSON,
// in which equal quantities look the same, whoever wrote the deployment last.
func templateHash(d *appsv1.Deployment) string {
	h := fnv.New32a()
	_ = json.NewEncoder(h).Encode(d.Spec.Template) // it came in as JSON
	return rand.SafeEncodeString(fmt.Sprint(h.Sum32()))
}

// steps are what has to be done to the pods of a deployment.
type steps struct {
	create int
	remove []*corev1.Pod
}

// planPods returns the way to want pods of the template with this hash. Pods of another
// template go as ones of the new one become ready; pods that are over go at once.
func planPods(want int32, hash string, pods []*corev1.Pod) steps {
	var out steps
	var current, outdated []*corev1.Pod
	ready := 0
	for _, pod := range pods {
		switch {
		case pod.DeletionTimestamp != nil:
		case pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded:
			out.remove = append(out.remove, pod)
		case pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != hash:
			outdated = append(outdated, pod)
		default:
			current = append(current, pod)
			if podReady(pod) {
				ready++
			}
		}
	}
	slices.SortStableFunc(current, byDeletionOrder)
	slices.SortStableFunc(outdated, byDeletionOrder)
	excess := max(len(current)-int(want), 0)
	out.create = max(int(want)-len(current), 0)
	out.remove = append(out.remove, current[:excess]...)
	// As many old pods stay as new ones are missing.
	stay := min(max(int(want)-ready, 0), len(outdated))
	out.remove = append(out.remove, outdated[:len(outdated)-stay]...)
	return out
}

// byDeletionOrder orders pods as a cluster does that has too many: those that serve nobody
// first, then the youngest.
func byDeletionOrder(a, b *corev1.Pod) int {
	rank := func(p *corev1.Pod) int {
		switch {
		case podReady(p):
			return 2
		case p.Status.Phase == corev1.PodRunning:
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(b.Name, a.Name))
}

func podReady(pod *corev1.Pod) bool { return pod.DeletionTimestamp == nil && store.IsReady(pod) }

func (c *Controller) createPod(d *appsv1.Deployment, hash string) error {
	account := accountOf(&d.Spec.Template.Spec)
	sa, ok := store.Get[*corev1.ServiceAccount](c.Store, d.Namespace, account)
	if !ok {
		return fmt.Errorf("pods %q is forbidden: error looking up service account %s/%s: serviceaccount %q not found",
			d.Name+"-"+hash+"-", d.Namespace, account, account)
	}
	pod, err := create(c, newPod(d, hash, sa, c.Options.Node, c.Now()))
	if err != nil {
		return err
	}
	c.events.record(d, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: %s", pod.Name)
	c.events.record(pod, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %s/%s to %s", pod.Namespace, pod.Name, c.Options.Node)
	return nil
}

// podPrefix returns what the names of a deployment's pods begin with. It leaves room for five
// letters behind it: where the name is too long, its own end is what is cut off.
func podPrefix(name, hash string) string {
	const letters = "xxxxx"
	return strings.TrimSuffix(kmeta.ChildName(name, "-"+hash+"-"+letters), letters)
}

// newPod returns a pod of a deployment, with what a cluster's admission and scheduler add.
func newPod(d *appsv1.Deployment, hash string, account *corev1.ServiceAccount, node string, now time.Time) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName:    podPrefix(d.Name, hash),
			Namespace:       d.Namespace,
			Labels:          union(d.Spec.Template.Labels, map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: hash}),
			Annotations:     union(d.Spec.Template.Annotations, nil),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		},
		Spec: *d.Spec.Template.Spec.DeepCopy(),
	}
	spec := &pod.Spec
	spec.NodeName = node
	spec.ServiceAccountName, spec.DeprecatedServiceAccount = account.Name, account.Name
	if len(spec.ImagePullSecrets) == 0 {
		spec.ImagePullSecrets = slices.Clone(account.ImagePullSecrets)
	}
	spec.RestartPolicy = cmp.Or(spec.RestartPolicy, corev1.RestartPolicyAlways)
	spec.DNSPolicy = cmp.Or(spec.DNSPolicy, corev1.DNSClusterFirst)
	spec.SchedulerName = cmp.Or(spec.SchedulerName, corev1.DefaultSchedulerName)
	if spec.SecurityContext == nil {
		spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	if spec.TerminationGracePeriodSeconds == nil {
		grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
		spec.TerminationGracePeriodSeconds = &grace
	}
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodPending,
		Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
		}},
	}
	return pod
}

// deletePod starts the end of a pod: the kubelet completes it.
func (c *Controller) deletePod(pod *corev1.Pod) error {
	return c.remove(pod, metav1.Preconditions{UID: &pod.UID})
}
