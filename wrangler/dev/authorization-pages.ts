/** The local authorization server's own pages: sign in, consent, and an error. */

export const styleSheet = `
:root { color-scheme: light dark; --ink: #1c2321; --soft: #57615d; --line: #d5dcd9; --paper: #ffffff; --back: #eef2f0; --accent: #1f6f5c }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eeeb; --soft: #a3b0ab; --line: #37413d; --paper: #1b2220; --back: #121715; --accent: #7fd1ba }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 16px;
  font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back) }
main { width: 100%; max-width: 400px; padding: 32px; border: 1px solid var(--line); border-radius: 12px; background: var(--paper) }
h1 { margin: 0 0 8px; font-size: 1.375rem; line-height: 1.25 }
p { margin: 0 0 16px; color: var(--soft) }
label { display: block; margin: 0 0 16px; font-weight: 600 }
input { display: block; width: 100%; margin-top: 4px; padding: 10px 12px; font: inherit; font-weight: 400; color: inherit;
  border: 1px solid var(--line); border-radius: 8px; background: transparent }
ul { margin: 0 0 24px; padding-left: 20px }
.actions { display: flex; gap: 8px; flex-wrap: wrap }
.actions form { flex: 1; display: flex }
form + form { margin-top: 8px }
.actions form + form { margin-top: 0 }
button { flex: 1; padding: 10px 16px; font: inherit; font-weight: 600; border-radius: 8px; cursor: pointer;
  border: 1px solid var(--accent); color: var(--paper); background: var(--accent) }
button.quiet { color: var(--ink); border-color: var(--line); background: transparent }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.problem { color: #b3261e }
@media (prefers-color-scheme: dark) { .problem { color: #ffb4ab } }
`

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => escapes[character] ?? '')

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body><main>${body}</main></body>
</html>
`

const scopeWords: Readonly<Record<string, string>> = {
  openid: 'know that it is you',
  profile: 'see your name',
  email: 'see your e-mail address',
  offline_access: 'keep access while you are away',
}

export const signInPage = (
  uid: string,
  facts: { login: string; password: string; failed: boolean },
): string =>
  page(
    'Sign in',
    `<h1>Sign in</h1>
<p>This is the local authorization server. There is one account: <strong>${escape(facts.login)}</strong> with the
password <strong>${escape(facts.password)}</strong>.</p>
${facts.failed ? '<p class="problem" role="alert">That name and password do not belong together.</p>' : ''}
<form method="post" action="/interaction/${escape(uid)}/login">
<label>Name <input name="login" value="${escape(facts.login)}" autocomplete="username" required></label>
<label>Password <input name="password" type="password" value="${escape(facts.password)}" autocomplete="current-password" required></label>
<div class="actions"><button type="submit" autofocus>Sign in</button></div>
</form>
<form method="post" action="/interaction/${escape(uid)}/abort">
<div class="actions"><button class="quiet" type="submit">Cancel</button></div>
</form>`,
  )

export const consentPage = (
  uid: string,
  facts: { client: string; login: string; scopes: readonly string[] },
): string =>
  page(
    'Allow access',
    `<h1>Allow ${escape(facts.client)}?</h1>
<p>You are signed in as <strong>${escape(facts.login)}</strong>. ${escape(facts.client)} would like to:</p>
<ul>${facts.scopes.map((scope) => `<li>${escape(scopeWords[scope] ?? scope)}</li>`).join('')}</ul>
<div class="actions">
<form method="post" action="/interaction/${escape(uid)}/abort"><button class="quiet" type="submit">Deny</button></form>
<form method="post" action="/interaction/${escape(uid)}/confirm"><button type="submit" autofocus>Allow</button></form>
</div>`,
  )

export const errorPage = (code: string): string =>
  page(
    'That did not work',
    `<h1>That did not work</h1>
<p>The authorization server could not go on (<code>${escape(code)}</code>). Go back and start again.</p>`,
  )
