package control

import (
	"sync"
	"testing"
	"time"
)

func TestQueueJoinsEqualTasks(t *testing.T) {
	q := newQueue()
	a, b := task{doService, "n", "a"}, task{doService, "n", "b"}
	q.add(a)
	q.add(b)
	q.add(a)
	first, _ := q.take()
	second, _ := q.take()
	if first != a || second != b || len(q.waiting) != 0 {
		t.Errorf("took %v and %v, %v wait", first, second, q.waiting)
	}
}

// A change while a task runs must not be lost, and not run beside it either.
func TestQueueDoesATaskAgainThatChangedMeanwhile(t *testing.T) {
	q := newQueue()
	a := task{doService, "n", "a"}
	q.add(a)
	q.take()
	q.add(a)
	q.add(a)
	if len(q.waiting) != 0 {
		t.Fatal("it may run twice at once")
	}
	q.done(a, 0)
	if again, _ := q.take(); again != a {
		t.Errorf("took %v", again)
	}
	q.done(a, 0)
	if len(q.waiting) != 0 || len(q.tasks) != 0 {
		t.Errorf("%v wait, %v are known", q.waiting, q.tasks)
	}
}

func TestQueueServesPodsFirst(t *testing.T) {
	q := newQueue()
	pods := task{doDeployment, "n", "d"}
	q.add(task{doService, "n", "a"})
	q.add(task{doService, "n", "b"})
	q.add(pods)
	if first, _ := q.take(); first != pods {
		t.Errorf("took %v", first)
	}
}

func TestQueueWaitsLongerAfterEachFailure(t *testing.T) {
	q := newQueue()
	a := task{doService, "n", "a"}
	q.add(a)
	for i := range 4 {
		q.take()
		begin := time.Now()
		q.failed(a)
		q.mu.Lock()
		for len(q.waiting) == 0 {
			q.ready.Wait()
		}
		q.mu.Unlock()
		if waited := time.Since(begin); waited < firstBackoff<<i {
			t.Errorf("waited %v after failure %d", waited, i+1)
		}
	}
	q.take()
	q.done(a, 0)
	if len(q.tasks) != 0 {
		t.Error("a success does not end the waiting")
	}
}

func TestQueueTakesTheLastDueTime(t *testing.T) {
	q := newQueue()
	a := task{doService, "n", "a"}
	q.add(a)
	q.take()
	q.done(a, time.Hour)
	q.add(a)
	q.take()
	q.done(a, 10*time.Millisecond)
	if due, _ := q.take(); due != a {
		t.Errorf("took %v", due)
	}
	q.done(a, 0)
	q.close()
	if _, ok := q.take(); ok {
		t.Error("a closed queue gives tasks")
	}
}

func TestQueueNeverDoesATaskTwiceAtOnce(t *testing.T) {
	q := newQueue()
	a := task{doService, "n", "a"}
	var group, producers sync.WaitGroup
	var mu sync.Mutex
	running, most := 0, 0
	for range 4 {
		group.Go(func() {
			for {
				got, ok := q.take()
				if !ok {
					return
				}
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				mu.Lock()
				running--
				mu.Unlock()
				q.done(got, 0)
			}
		})
	}
	for range 4 {
		producers.Go(func() {
			for range 1000 {
				q.add(a)
			}
		})
	}
	producers.Wait()
	q.close()
	group.Wait()
	if most != 1 {
		t.Errorf("%d at once", most)
	}
}
