/**
 * Words of the server's, with the commands in them set apart.
 */
import * as React from 'react';

import { splitCommands } from '../model';

export function Words({ text }: { text: string }): React.JSX.Element {
  return (
    <>
      {splitCommands(text).map((part, index) =>
        index % 2 ? <code key={index}>{part}</code> : <span key={index}>{part}</span>
      )}
    </>
  );
}

interface LinkProps {
  readonly label: string;
  readonly onClick: () => void;
}

/** A button that reads like a link. */
export function Link({ label, onClick }: LinkProps): React.JSX.Element {
  return (
    <button type="button" className="dk-Link" onClick={onClick}>
      {label}
    </button>
  );
}
