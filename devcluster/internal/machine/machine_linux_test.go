package machine

import "testing"

func TestShowsFolder(t *testing.T) {
	const folder = "/home/me/my state/kn-lite-devcluster/dev"
	for name, tc := range map[string]struct {
		mountinfo string
		want      bool
	}{
		"same file system":       {`9 1 8:1 /home/me/my\040state/kn-lite-devcluster/dev /run/kn-lite rw - ext4 /dev/a rw`, true},
		"folder on its own disk": {`9 1 8:2 /my\040state/kn-lite-devcluster/dev /run/kn-lite rw - ext4 /dev/b rw`, true},
		"another instance":       {`9 1 8:1 /home/me/my\040state/kn-lite-devcluster/dev2 /run/kn-lite rw - ext4 /dev/a rw`, false},
		"another place":          {`9 1 8:1 /home/me/my\040state/kn-lite-devcluster/dev /mnt rw - ext4 /dev/a rw`, false},
		"root of a disk":         {`9 1 8:1 / /run/kn-lite rw - ext4 /dev/a rw`, false},
		"nothing":                {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := showsFolder(tc.mountinfo, folder); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}

func TestSysctlPath(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.ip_forward":            "/proc/sys/net/ipv4/ip_forward",
		"net.ipv4.conf.eth0/7.rp_filter": "/proc/sys/net/ipv4/conf/eth0.7/rp_filter",
	} {
		if got := sysctlPath(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
