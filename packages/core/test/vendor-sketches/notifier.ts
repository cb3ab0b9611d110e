import { assertNever, type Handle, type NoticeState, type Notifier } from '@pipit/core';

/** Slack: one message a subject, updated in place; its buttons come back through the instance's hook. */
interface SlackClient {
  chat: {
    postMessage(options: {
      channel: string;
      text: string;
      blocks: readonly object[];
      thread_ts?: string;
    }): Promise<{ ts: string; channel: string }>;
    update(options: { channel: string; ts: string; text: string; blocks: readonly object[] }): Promise<{ ts: string; channel: string }>;
  };
}

const SYMBOLS: Readonly<Record<NoticeState, string>> = {
  running: ':hourglass:',
  waiting: ':raised_hand:',
  done: ':white_check_mark:',
  failed: ':x:',
  rolledBack: ':leftwards_arrow_with_hook:',
};
const handleOf = ({ channel, ts }: { readonly channel: string; readonly ts: string }): Handle => `${channel}/${ts}`;
const placeOf = (handle: Handle): { readonly channel: string; readonly ts: string } => {
  const [channel = '', ts = ''] = handle.split('/');
  return { channel, ts };
};

export const createSlackNotifier = (client: SlackClient): Notifier<{ readonly channel: string }> => ({
  notify: async ({ notice, previous, replyTo, options }) => {
    const text = `${SYMBOLS[notice.state]} ${notice.title}`;
    const buttons = notice.actions.map((action) => ({
      type: 'button',
      text: { type: 'plain_text', text: action },
      action_id: action,
      value: notice.subject,
    }));
    const blocks = [
      { type: 'section', text: { type: 'mrkdwn', text: `${notice.url === undefined ? text : `<${notice.url}|${text}>`}\n${notice.text}` } },
      ...(buttons.length === 0 ? [] : [{ type: 'actions', elements: buttons }]),
    ];
    if (previous !== undefined) return handleOf(await client.chat.update({ ...placeOf(previous), text, blocks }));
    const thread =
      replyTo === undefined ? { channel: options.channel } : { channel: placeOf(replyTo).channel, thread_ts: placeOf(replyTo).ts };
    return handleOf(await client.chat.postMessage({ ...thread, text, blocks }));
  },
});

/** GitHub: a commit status, which has four states and needs no handle, since its context names it. */
interface StatusClient {
  createCommitStatus(options: {
    owner: string;
    repo: string;
    sha: string;
    state: 'pending' | 'success' | 'failure' | 'error';
    context: string;
    /** At most 140 characters. */
    description: string;
    target_url?: string;
    request: { signal: AbortSignal };
  }): Promise<void>;
}

const MAX_DESCRIPTION_CHARACTERS = 140;

const stateOf = (state: NoticeState): 'pending' | 'success' | 'failure' => {
  switch (state) {
    case 'running':
    case 'waiting':
      return 'pending';
    case 'done':
      return 'success';
    case 'failed':
    case 'rolledBack':
      return 'failure';
    default:
      return assertNever(state);
  }
};

export const createGitHubStatusNotifier = (client: StatusClient): Notifier<{ readonly context: string }> => ({
  notify: async ({ notice, options }, { signal }) => {
    if (notice.commit === undefined) return undefined;
    const [owner = '', repo = ''] = notice.commit.repository.name.split('/');
    await client.createCommitStatus({
      ...{ owner, repo, sha: notice.commit.sha, state: stateOf(notice.state), context: options.context },
      description: notice.title.slice(0, MAX_DESCRIPTION_CHARACTERS),
      ...(notice.url === undefined ? {} : { target_url: notice.url }),
      request: { signal },
    });
    return undefined;
  },
});
