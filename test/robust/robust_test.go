//go:build e2e

package robust

import "testing"

func TestRobust(t *testing.T) {
	l := newLab(t)
	for name, test := range map[string]func(*testing.T, *lab){
		"killed builds":    testKilled,
		"killed pushes":    testKilledPush,
		"killed writes":    testKilledWrite,
		"full disks":       testFullDisks,
		"read-only places": testReadOnly,
		"several at once":  testAtOnce,
		"harmed caches":    testHarmedCaches,
		"unreadable":       testUnreadable,
		"secrets":          testSecrets,
	} {
		t.Run(name, func(t *testing.T) { test(t, l) })
	}
}
