/**
 * Notes: what is wrong with the whole picture, and what to do about it.
 */
import * as React from 'react';

import { saySentences } from '../model';
import type { Connection, Problem } from '../tokens';
import { useNow } from './hooks';
import { Link, Words } from './words';

interface ProblemNoteProps {
  readonly problem: Problem;
  readonly onCheckAgain: () => void;
}

export function ProblemNote({ problem, onCheckAgain }: ProblemNoteProps): React.JSX.Element {
  return (
    <div className="dk-Note dk-mod-bad" role="alert" data-code={problem.code}>
      <strong>{problem.title}</strong>
      <p>
        <Words text={saySentences(problem.message)} />
      </p>
      {problem.fix && (
        <p className="dk-Fix">
          <Words text={saySentences(problem.fix)} />
        </p>
      )}
      <Link label="Check again" onClick={onCheckAgain} />
    </div>
  );
}

interface ConnectionNoteProps {
  readonly connection: Connection;
  readonly hasRows: boolean;
  readonly onRetry: () => void;
}

export function ConnectionNote(props: ConnectionNoteProps): React.JSX.Element | null {
  const { connection, hasRows, onRetry } = props;
  const nowMs = useNow(1000);
  if (connection.phase === 'open' || (connection.phase === 'connecting' && !connection.isRetry)) {
    return null;
  }
  const seconds =
    connection.phase === 'lost' ? Math.ceil((connection.retryAtMs - nowMs) / 1000) : 0;
  return (
    <div className="dk-Note" role="status" data-code="connection-lost">
      <strong>Connection to the notebook server lost</strong>
      <p>
        {hasRows && 'What you see is the last that was known. '}
        {seconds > 0 ? `Trying again in ${seconds} s.` : 'Trying again now.'}
      </p>
      <Link label="Try now" onClick={onRetry} />
    </div>
  );
}
