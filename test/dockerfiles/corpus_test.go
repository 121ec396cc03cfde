//go:build e2e

package dockerfiles

import (
	"maps"
	"testing"
)

// corpus is everything that is built: small Dockerfiles, each one thing that
// they do, and those of testdata, each the shape of something that people write.
func corpus(t *testing.T) map[string]*testCase {
	t.Helper()
	all := map[string]*testCase{}
	for name, text := range basics() {
		all[name] = &testCase{text: text, buildah: true}
	}
	maps.Copy(all, meanings())
	maps.Copy(all, corners())
	maps.Copy(all, shapes(t))
	all["copy-over-link"].buildah = false  // replaces the link
	all["run-link-change"].buildah = false // with vfs all names of the file change
	return all
}

// basics are what buildah 1.28 builds too: it knows no here-documents.
func basics() map[string]string {
	return map[string]string{
		"copy-file":            "FROM BASE\nCOPY a.txt /a\n",
		"copy-to-folder":       "FROM BASE\nCOPY a.txt b.txt /d/\n",
		"copy-folder":          "FROM BASE\nCOPY dir /d\n",
		"copy-all":             "FROM BASE\nCOPY . /src\n",
		"copy-into-existing":   "FROM BASE\nRUN mkdir -p /d && chmod 700 /d\nCOPY dir /d\n",
		"copy-file-into-dir":   "FROM BASE\nRUN mkdir /d\nCOPY a.txt /d\n",
		"copy-pattern":         "FROM BASE\nCOPY *.txt /d/\n",
		"copy-deep":            "FROM BASE\nCOPY dir/sub/y /x/y/z\n",
		"copy-chown":           "FROM BASE\nCOPY --chown=1000:1000 dir /d\n",
		"copy-chown-name":      "FROM BASE\nCOPY --chown=app:extra a.txt /home/app/\n",
		"copy-chmod":           "FROM BASE\nCOPY --chmod=750 a.txt /a\n",
		"copy-over":            "FROM BASE\nCOPY a.txt /f\nCOPY b.txt /f\n",
		"copy-over-link":       "FROM BASE\nRUN echo x > /t && ln -s t /l\nCOPY a.txt /l\n",
		"copy-relative":        "FROM BASE\nWORKDIR /w/x\nCOPY a.txt ../b\nCOPY dir .\n",
		"copy-json":            "FROM BASE\nCOPY [\"a.txt\", \"/with space\"]\n",
		"copy-stage":           "FROM BASE AS x\nRUN mkdir -p /o/p && echo 1 > /o/p/f && chown 7:8 /o/p/f && chmod 4755 /o/p/f\nFROM BASE\nCOPY --from=x /o /o\n",
		"copy-stage-file":      "FROM BASE AS x\nRUN echo 1 > /f\nFROM scratch\nCOPY --from=x /f /g\n",
		"copy-stage-links":     "FROM BASE AS x\nRUN mkdir /o && echo 1 > /o/f && ln -s f /o/l && ln -s /nowhere /o/d\nFROM BASE\nCOPY --from=0 /o /o\n",
		"copy-var-run":         "FROM BASE\nCOPY a.txt /var/run/a\n",
		"add-tar":              "FROM BASE\nADD t.tar /x/\n",
		"add-targz":            "FROM BASE\nADD t.tar.gz /x/\n",
		"add-file":             "FROM BASE\nADD a.txt /x/\n",
		"run-write":            "FROM BASE\nRUN echo 1 > /f\n",
		"run-delete":           "FROM BASE\nRUN rm /bin/wget /bin/nc 2>/dev/null; true\n",
		"run-delete-folder":    "FROM BASE\nRUN mkdir -p /d/e && touch /d/e/f\nRUN rm -r /d\n",
		"run-replace-folder":   "FROM BASE\nRUN mkdir /d && touch /d/old\nRUN rm -r /d && mkdir /d && touch /d/new\n",
		"run-file-to-folder":   "FROM BASE\nRUN touch /x\nRUN rm /x && mkdir /x && touch /x/y\n",
		"run-folder-to-file":   "FROM BASE\nRUN mkdir /x && touch /x/y\nRUN rm -r /x && touch /x\n",
		"run-modes":            "FROM BASE\nRUN touch /a /b /c && chmod 4755 /a && chmod 2711 /b && chmod 000 /c && mkdir -m 1777 /t\n",
		"run-owners":           "FROM BASE\nRUN touch /a && mkdir /d && chown 1000:2000 /a /d\n",
		"run-links":            "FROM BASE\nRUN echo 1 > /a && ln /a /b && ln -s a /c && ln -s /abs /d\n",
		"run-link-change":      "FROM BASE\nRUN echo 1 > /a && ln /a /b\nRUN echo 2 > /b\n",
		"run-link-to-base":     "FROM BASE\nRUN ln /etc/passwd /p\n",
		"run-fifo":             "FROM BASE\nRUN mkfifo /p\n",
		"run-chmod-base":       "FROM BASE\nRUN chmod 600 /etc/group && chown 5:6 /etc/passwd\n",
		"run-rename":           "FROM BASE\nRUN mkdir /d && touch /d/f\nRUN mv /d /e\n",
		"run-exec":             "FROM BASE\nRUN [\"touch\", \"/with space\"]\n",
		"run-user":             "FROM BASE\nUSER app\nRUN id > /tmp/id; touch /tmp/f\n",
		"run-user-number":      "FROM BASE\nUSER 12:34\nRUN touch /tmp/f\n",
		"run-home":             "FROM BASE\nUSER app\nRUN echo $HOME > /tmp/f\n",
		"run-env":              "FROM BASE\nENV A=1 B=\"two words\"\nRUN echo $A $B $PATH > /f\n",
		"run-arg":              "FROM BASE\nARG A=1\nRUN echo $A > /f\n",
		"run-workdir":          "FROM BASE\nWORKDIR /w\nRUN pwd > f\n",
		"run-tar":              "FROM BASE\nCOPY t.tar /t.tar\nRUN mkdir /x && tar -C /x -xf /t.tar && rm /t.tar\n",
		"run-continued":        "FROM BASE\nRUN echo 1 > /a && \\\n  # a comment\n  echo 2 > /b\n",
		"run-shell":            "FROM BASE\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN echo $0 > /f\n",
		"from-stage":           "FROM BASE AS x\nENV A=1\nRUN touch /x\nFROM x\nRUN touch /y\n",
		"from-arg":             "ARG B=BASE\nFROM ${B}\nRUN touch /x\n",
		"from-scratch":         "FROM scratch\nCOPY a.txt /a\n",
		"unused-stage":         "FROM BASE AS broken\nRUN touch /never\nFROM BASE\nRUN touch /x\n",
		"config-env":           "FROM BASE\nENV A=1\nENV B=$A-2 C=${D:-3} E='$A'\n",
		"config-cmd":           "FROM BASE\nCMD [\"cat\", \"b\"]\n",
		"config-cmd-shell":     "FROM BASE\nCMD cat b\n",
		"config-entrypoint":    "FROM BASE\nCMD [\"x\"]\nENTRYPOINT [\"cat\"]\n",
		"config-entry-resets":  "FROM BASE\nENTRYPOINT [\"cat\"]\n",
		"config-labels":        "FROM BASE\nLABEL a=1 b=\"two words\"\nLABEL a=3\n",
		"config-ports":         "FROM BASE\nEXPOSE 80 443/tcp 53/udp\n",
		"config-volume":        "FROM BASE\nRUN mkdir /data /more\nVOLUME /data /more\n",
		"config-workdir":       "FROM BASE\nWORKDIR /a\nWORKDIR b\nENV X=/c\nWORKDIR $X\n",
		"config-user":          "FROM BASE\nUSER app:extra\n",
		"config-stop":          "FROM BASE\nSTOPSIGNAL SIGINT\n",
		"config-arg-in-copy":   "FROM BASE\nARG F=a.txt\nCOPY $F /x\n",
		"ignore-node-modules":  "FROM BASE\nCOPY . /app\nRUN find /app | sort > /list\n",
		"multi-stage-pipeline": "FROM BASE AS one\nWORKDIR /w\nCOPY dir .\nRUN cat x > out\nFROM BASE AS two\nCOPY --from=one /w/out /o\nRUN echo more >> /o\nFROM scratch\nCOPY --from=two /o /o\nCOPY --from=two /bin/busybox /final\nENTRYPOINT [\"/final\"]\n",
	}
}
