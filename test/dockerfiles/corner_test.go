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
		// Modes as for chmod(1), which are for what is copied and not for new folders.
		"chmod-symbolic": "FROM BASE\nCOPY --chmod=u=rwX,go=rX dir /d\nCOPY --chmod=a+x a.txt /a\nADD --chmod=u+s a.txt /c\nCOPY --chmod=+t dir /t\n" +
			"COPY --chmod=g=u,o= dir /p/q/d\nCOPY --chmod=-x b.txt /y\nCOPY --chmod=g+s,o+s dir /z\nCOPY --chmod=u+x,g=x,o=w,a-r a.txt /v\nCOPY --chmod== a.txt /u\n" +
			"COPY --chmod=+x <<E /run.sh\n#!/bin/sh\nE\nADD --chmod=go-rwx t.tar /e/\n",
		"chmod-symbolic-from": "FROM BASE AS x\nRUN mkdir /o && touch /o/a /o/b && chmod 4750 /o/a && chmod 1777 /o && ln -s a /o/l\nFROM BASE\n" +
			"COPY --from=x --chmod=go=u /o /p\nCOPY --from=x --chmod=u-s /o/a /q\n",
		"add-packed":     "FROM BASE\nADD --unpack=false t.tar /d/\nADD --unpack=true t.tar.gz /e/\nADD --unpack t.tar /g/\nADD --unpack=true a.txt /i\n",
		"onbuild-flags":  "FROM BASE AS x\nONBUILD COPY --exclude=*.txt . /d/\nONBUILD ADD --unpack=false t.tar /e/\nONBUILD COPY --chmod=u=rwX,go= dir /f\nFROM x\n",
		"onbuild-stages": "FROM BASE AS a\nONBUILD ENV X=1\nONBUILD RUN echo $X > /f\nONBUILD USER app\nFROM a AS b\nONBUILD RUN touch /tmp/b\nFROM b AS c\nRUN id -u > /tmp/id\nFROM c\n",
		"cache-relative": "FROM BASE\nWORKDIR /v\nRUN --mount=type=cache,target=crel echo 1 > crel/a\nWORKDIR /w\nRUN --mount=type=cache,target=./crel ls crel > /h\n" +
			"RUN --mount=type=cache,target=/w/crel ls crel > /i\n",
		"stage-twice":   "FROM BASE AS a\nRUN touch /1\nFROM BASE AS A\nRUN touch /2\nFROM BASE\nCOPY --from=a /[12] /d/\n",
		"arg-stage":     "FROM BASE AS s\nARG TARGETSTAGE\nRUN echo \"[$TARGETSTAGE]\" > /f\n",
		"heredoc-names": "FROM BASE\nARG V=1\nCOPY <<one <<\"two\" <<-three.txt /d/\na $V ${V:+yes} \\$V \"q\" 'q'\none\nb $V\ntwo\n\t\tc\n\tthree.txt\n",
		"heredoc-two":   "FROM BASE\nRUN <<A cat > /f && cat <<B >> /f\nfirst $HOME\nA\nsecond\nB\n",
		"line-ends":     "FROM BASE\r\nENV A=1\r\nRUN echo a \\\r\n  b > /f\r\nCOPY a.txt /x\r\nRUN <<E\r\necho 1 > /g\r\nE\r\nCMD [\"a\"]\r\n",
		"byte-order":    "\ufeffFROM BASE\nRUN touch /x",
		"no-more-lines": "FROM BASE\nRUN touch /x \\\n\n  /y \\\n # c\n\n /z \\\n",
		"unicode":       "FROM BASE\nENV Ä=ö Z=\"日本\"\nLABEL é=ü\nRUN mkdir /日本 && echo $Z > /日本/ä\nWORKDIR /日本/x\nCOPY a.txt ñ\n",
		"env-operators": "FROM BASE\nENV A=hello.tar.gz B= C=\"a b\"\nENV D=${B:-def} E=${B-def} F=${A:+alt} G=${B:+alt} H=${B+alt} I=${A%.*} J=${A%%.*} K=${A#*.} L=${A##*.} " +
			"M=${A/l/L} N=${A//l/L} O=${A/tar/} P=${A//[lo]/_} Q=$C R='$C' S=\"x $C\" U=\\$A V=${A:?bad} W=${X:-${A:-z}}\nRUN env | grep '^[A-W]=' | sort > /f\n",
		"label-quotes": "FROM BASE\nLABEL a=b\\ c d=\"e\\\"f\" g='h\"i' j=\"k\\\n  l\" m=\"\" \"o p\"=q\nLABEL r s t\nLABEL multi=\"a\\nb\" dollar=\\$PATH q='$PATH'\n",
		"entry-resets": "FROM BASE AS a\nENTRYPOINT [\"e\"]\nCMD [\"c\"]\nFROM a AS b\nENTRYPOINT []\nFROM b AS c\nCMD [\"d\"]\nENTRYPOINT [\"f\"]\nFROM c\nENTRYPOINT g\n",
		"signal-names": "FROM BASE\nSTOPSIGNAL SIGRTMIN+3\n",
		"types-change": "FROM BASE\nRUN mkdir -p /d/e && touch /d/e/f /g && ln -s g /l && mkfifo /p\nRUN rm -r /d /l /p && ln -s g /d && mkdir /l && touch /p && rm /g && mkdir /g\n" +
			"RUN rm -r /d /l /p /g && touch /d\nRUN mkdir -p /o/a/b && touch /o/a/b/f /o/x\nRUN rm -r /o/a && mkdir -p /o/a/b && touch /o/a/b/new\nRUN mv /o /q && touch /q/r\n",
		"names-three": "FROM BASE\nRUN echo 1 > /a && ln /a /b && ln /a /c\nRUN rm /b && mv /c /e\nRUN chmod 600 /a\n",
		"sparse":      "FROM BASE AS x\nRUN dd if=/dev/zero of=/s bs=1 count=1 seek=5000000 2>/dev/null && echo t >> /s\nFROM BASE\nCOPY --from=x /s /t\n",
	} {
		all[name] = &testCase{text: text}
	}
	for name, c := range map[string]testCase{
		"secret-variable": {text: "FROM BASE\nENV OWN=1\nRUN --mount=type=secret,id=s,env=TOKEN --mount=type=secret,id=s,env=OWN --mount=type=secret,id=none,env=NONE " +
			"echo \"$TOKEN $OWN [${NONE-unset}]\" > /f; ls /run/secrets >> /f 2>&1; true\nRUN echo \"[$TOKEN] $OWN\" >> /f\n", secret: "a.txt"},
		"secret-variable-file": {text: "FROM BASE\nRUN --mount=type=secret,id=s,env=TOKEN,target=/t/s cat /t/s > /f; echo $TOKEN >> /f\n", secret: "a.txt"},
		"links-anywhere": {text: "FROM BASE\nCOPY . /d/\nCOPY abs dir/up /e/\nRUN --mount=target=/m ls -l /m | awk '{print $NF}' > /f\n", links: map[string]string{
			"abs": "/a", "out": "/etc/passwd", "loop": "loop", "gone": "nowhere", "dir/up": "../../../a", "dir/out": "../../x", "b": "a",
		}},
		"target-stage": {text: "FROM BASE AS fin\nARG TARGETSTAGE\nRUN echo \"[$TARGETSTAGE]\" > /f\nFROM BASE\nRUN false\n", target: "fin"},
	} {
		all[name] = &c
	}
	for name, c := range map[string]testCase{
		"fails-chown-scratch": {text: "FROM scratch\nCOPY --chown=nosuch a.txt /a\n", fails: `user "nosuch" is not in the image's /etc/passwd: there are no files yet`},
		"fails-chown-link":    {text: "FROM BASE\nCOPY --link --chown=app a.txt /a\n", fails: "with --link, the files below are not seen"},
		"fails-user":          {text: "FROM BASE\nUSER app:nosuch\nRUN true\n", fails: `group "nosuch" is not in the image's /etc/group`},
		"fails-signal":        {text: "FROM BASE\nSTOPSIGNAL SIGNONE\n", fails: "there is no such signal"},
		"fails-from-variable": {text: "FROM BASE AS one\nFROM BASE\nARG S=one\nCOPY --from=$S / /x\n", fails: "no variable has a value there"},
		"fails-mode":          {text: "FROM BASE\nCOPY --chmod=u+y a.txt /a\n", fails: "\"u+y\" is no mode"},
		"fails-link":          {text: "FROM BASE\nCOPY out /x\n", links: map[string]string{"out": "/etc/shadow"}, fails: "the link to /etc/shadow leads out of the context"},
		"fails-secret-env":    {text: "FROM BASE\nRUN --mount=type=secret,id=x,env=X,required true\n", fails: "required"},
		"fails-port":          {text: "FROM BASE\nEXPOSE 80/xyz\n", fails: "the protocol is xyz"},
		"fails-port-ranges":   {text: "FROM BASE\nEXPOSE 1-2:1-5\n", fails: "1-2 are not as many ports"},
	} {
		all[name] = &c
	}
	return all
}
