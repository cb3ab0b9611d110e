/** Somebody who may log in to the lab's Jenkins. */
export interface JenkinsAccount {
  readonly user: string;
  /** Only for calls with a password; API tokens are made by Jenkins. Default: the name and `-password`. */
  readonly password?: string;
  /** Ids of Jenkins, for example `hudson.model.Item.Build`, or `admin` for every right. */
  readonly rights: 'admin' | readonly string[];
}

export interface JenkinsSettings {
  readonly accounts: readonly JenkinsAccount[];
  readonly executors: number;
  readonly quietPeriodSeconds: number;
  /** Whether a POST needs a crumb, as newer servers want it of whoever comes with a password. */
  readonly crumbs: boolean;
  /** Where the accounts' API tokens are written, as lines of name and token. Its being there says that all of this is done. */
  readonly tokensFile: string;
}

export const passwordOf = ({ user, password }: JenkinsAccount): string => password ?? `${user}-password`;

const groovyText = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** What Jenkins runs at each start, from `init.groovy.d`. */
export const jenkinsInitScript = ({ accounts, executors, quietPeriodSeconds, crumbs, tokensFile }: JenkinsSettings): string => {
  const grants = accounts.flatMap(({ user, rights }) =>
    (rights === 'admin' ? ['hudson.model.Hudson.Administer'] : rights).map(
      (right) => `strategy.add(Permission.fromId(${groovyText(right)}), ${groovyText(user)})`,
    ),
  );
  return `import hudson.model.User
import hudson.security.*
import hudson.security.csrf.DefaultCrumbIssuer
import jenkins.model.Jenkins
import jenkins.security.ApiTokenProperty

def jenkins = Jenkins.instance
jenkins.numExecutors = ${executors}
jenkins.quietPeriod = ${quietPeriodSeconds}
jenkins.crumbIssuer = ${crumbs ? 'new DefaultCrumbIssuer(false)' : 'null'}
def realm = new HudsonPrivateSecurityRealm(false)
jenkins.securityRealm = realm
def strategy = new GlobalMatrixAuthorizationStrategy()
${grants.join('\n')}
jenkins.authorizationStrategy = strategy
def tokens = []
${accounts
  .map(
    (account) => `realm.createAccount(${groovyText(account.user)}, ${groovyText(passwordOf(account))})
tokens << ${groovyText(`${account.user} `)} + User.get(${groovyText(account.user)}).getProperty(ApiTokenProperty).apiToken`,
  )
  .join('\n')}
jenkins.save()
def written = new File(${groovyText(`${tokensFile}.new`)})
written.text = tokens.join('\\n') + '\\n'
written.renameTo(new File(${groovyText(tokensFile)}))
`;
};
