package secret

import (
	"bytes"
	"regexp"
)

// shape is how the tokens of one issuer look: they publish it, so that tokens can
// be found.
type shape struct {
	name    string
	mark    string // in every such token: the expression is tried where it occurs
	pattern string
}

func shapes() []shape {
	return []shape{
		{"an AWS access key", "A", `\b(AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b`},
		{"a GitHub token", "gh", `\bgh[pousr]_[A-Za-z0-9]{36,}\b`},
		{"a GitHub token", "github_pat_", `\bgithub_pat_[A-Za-z0-9_]{60,}\b`},
		{"a GitLab token", "gl", `\b(glpat|gldt|glrt|glptt|glcbt|glsoat)-[A-Za-z0-9_.-]{20,}`},
		{"an npm token", "npm_", `\bnpm_[A-Za-z0-9]{36}\b`},
		{"a PyPI token", "pypi-", `\bpypi-AgE[A-Za-z0-9_-]{50,}`},
		{"a RubyGems key", "rubygems_", `\brubygems_[a-f0-9]{48}\b`},
		{"a crates.io token", "cio", `\bcio[A-Za-z0-9]{32}\b`},
		{"a Docker Hub token", "dckr_", `\bdckr_(pat|oat)_[A-Za-z0-9_-]{20,}`},
		{"a Google API key", "AIza", `\bAIza[A-Za-z0-9_-]{35}`},
		{"a Google OAuth token", "ya29.", `\bya29\.[A-Za-z0-9_-]{20,}`},
		{"a Google client secret", "GOCSPX-", `\bGOCSPX-[A-Za-z0-9_-]{28}`},
		{"a Slack token", "xox", `\bxox[abeoprs]-[A-Za-z0-9-]{10,}`},
		{"a Slack app token", "xapp-", `\bxapp-[0-9]-[A-Za-z0-9-]{10,}`},
		{"a Slack webhook", "hooks.slack.com", `hooks\.slack\.com/services/T[A-Za-z0-9]+/B[A-Za-z0-9]+/[A-Za-z0-9]{20,}`},
		{"a Stripe key", "_live_", `\b[rs]k_live_[A-Za-z0-9]{16,}`},
		{"a SendGrid key", "SG.", `\bSG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{40,}`},
		{"a Twilio key", "SK", `\bSK[a-f0-9]{32}\b`},
		{"an OpenAI key", "sk-", `\bsk-(proj-|svcacct-|admin-)?[A-Za-z0-9_-]{40,}`},
		{"an Anthropic key", "sk-ant-", `\bsk-ant-[A-Za-z0-9_-]{20,}`},
		{"a Hugging Face token", "hf_", `\bhf_[A-Za-z0-9]{34}\b`},
		{"a DigitalOcean token", "_v1_", `\bdo[opr]_v1_[a-f0-9]{64}\b`},
		{"a Vault token", "hv", `\bhv[sbr]\.[A-Za-z0-9_-]{24,}`},
		{"a Terraform Cloud token", ".atlasv1.", `\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,}`},
		{"a Databricks token", "dapi", `\bdapi[a-f0-9]{32}\b`},
		{"a Mailgun key", "key-", `\bkey-[a-f0-9]{32}\b`},
		{"a Shopify token", "shp", `\bshp(at|ca|pa|ss)_[a-fA-F0-9]{32}\b`},
		{"a Telegram token", ":AA", `\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}`},
		{"an Azure storage key", "AccountKey=", `AccountKey=[A-Za-z0-9+/]{80,}={0,2}`},
		{"an age key", "AGE-SECRET-KEY-", `\bAGE-SECRET-KEY-1[A-Z0-9]{50,}`},
		{"a JSON web token", "eyJ", `\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`},
	}
}

// token returns what kind of token content holds, or "".
func token(content []byte) string {
	for _, s := range shapes() {
		if bytes.Contains(content, []byte(s.mark)) && regexp.MustCompile(s.pattern).Match(content) {
			return s.name
		}
	}
	return ""
}
