//go:build e2e

package dockerfiles

// corners are what is written by mistake or seldom, and what docker build makes of it.
func corners() map[string]*testCase {
	all := map[string]*testCase{}
	for name, text := range map[string]string{
		"expose-mapped":       "FROM BASE\nEXPOSE 80:8080 127.0.0.1:81:8181/udp [::1]:82:8282 9000-9002:7000 :90 91/SCTP 92/ +93\n",
		"workdir-empty":       "FROM BASE\nWORKDIR /a/\nWORKDIR \"\"\nRUN pwd > f\nWORKDIR $NONE\n",
		"workdir-empty-first": "FROM scratch\nWORKDIR \"\"\nCOPY a.txt b\n",
		// A name that nobody has is root.
		"chown-unknown": "FROM BASE\nCOPY --chown=nosuch a.txt /a\nCOPY --chown=app:nosuch dir /b\nCOPY --chown=nosuch:7 a.txt /c\nCOPY --chown=5:nosuch a.txt /d\n" +
			"ADD --chown=nosuch t.tar /e/\nUSER nosuch:nosuch\nWORKDIR /w\n",
		"chown-no-files":     "FROM BASE\nRUN rm /etc/passwd /etc/group\nCOPY --chown=app:extra a.txt /a\n",
		"chown-root-scratch": "FROM scratch\nCOPY --chown=root:root a.txt /a\nCOPY --chown=nosuch a.txt /b\n",
	} {
		all[name] = &testCase{text: text}
	}
	for name, c := range map[string]testCase{
		"fails-chown-scratch": {text: "FROM scratch\nCOPY --chown=nosuch a.txt /a\n", fails: `user "nosuch" is not in the image's /etc/passwd: there are no files yet`},
		"fails-chown-link":    {text: "FROM BASE\nCOPY --link --chown=app a.txt /a\n", fails: "with --link, the files below are not seen"},
		"fails-user":          {text: "FROM BASE\nUSER app:nosuch\nRUN true\n", fails: `group "nosuch" is not in the image's /etc/group`},
		"fails-port":          {text: "FROM BASE\nEXPOSE 80/xyz\n", fails: "the protocol is xyz"},
		"fails-port-ranges":   {text: "FROM BASE\nEXPOSE 1-2:1-5\n", fails: "1-2 are not as many ports"},
	} {
		all[name] = &c
	}
	return all
}
