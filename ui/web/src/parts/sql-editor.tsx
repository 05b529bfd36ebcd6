// The SQL editor: CodeMirror with the server's schema for completion, in the page's own colours.

import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  closeCompletion,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { PostgreSQL, sql } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "react";
import type { SchemaAnswer } from "../api/types";

export interface SqlEditorProps {
  text: string;
  schema: SchemaAnswer | undefined;
  label: string;
  hint: string;
  onChange(text: string): void;
  run(): void;
}

const COLORS = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--code-keyword)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: tags.comment, color: "var(--dim)", fontStyle: "italic" },
  { tag: [tags.operator, tags.punctuation], color: "var(--text)" },
]);

const LOOK = EditorView.theme({
  "&": { fontSize: "13px", backgroundColor: "var(--raised)", color: "var(--text)" },
  "&.cm-focused": { outline: "2px solid var(--focus)", outlineOffset: "-1px" },
  ".cm-content": { fontFamily: "var(--mono)", caretColor: "var(--text)", minHeight: "132px", padding: "8px 0" },
  ".cm-scroller": { maxHeight: "320px", lineHeight: "1.55" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--dim)", border: "none" },
  ".cm-placeholder": { color: "var(--dim)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "var(--select) !important",
  },
  ".cm-matchingBracket": { backgroundColor: "var(--select)", color: "var(--text)" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", border: "1px solid var(--line-strong)", color: "var(--text)" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
});

export function SqlEditor(props: SqlEditorProps) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const language = useRef(new Compartment());
  const latest = useRef(props);
  latest.current = props;

  useEffect(() => {
    if (!place.current) return;
    const { label, hint, text } = latest.current;
    const runLatest = (view: EditorView) => {
      closeCompletion(view);
      latest.current.run();
      return true;
    };
    const runKey = { key: "Ctrl-Enter", mac: "Cmd-Enter", run: runLatest };
    const editor = new EditorView({
      parent: place.current,
      state: EditorState.create({
        doc: text,
        extensions: [
          Prec.highest(keymap.of([runKey])),
          lineNumbers(),
          history(),
          drawSelection(),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ icons: false }),
          keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...completionKeymap]),
          language.current.of(dialect(latest.current.schema)),
          syntaxHighlighting(COLORS),
          LOOK,
          EditorView.lineWrapping,
          placeholder(hint),
          EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false" }),
          EditorView.updateListener.of((u) => u.docChanged && latest.current.onChange(u.state.doc.toString())),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, []);

  useEffect(() => {
    view.current?.dispatch({ effects: language.current.reconfigure(dialect(props.schema)) });
  }, [props.schema]);

  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== props.text) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: props.text } });
    }
  }, [props.text]);

  return <div ref={place} className="sql-editor" />;
}

function dialect(schema: SchemaAnswer | undefined) {
  const tables: Record<string, { label: string; type: string; detail: string; info?: string }[]> = {};
  for (const table of schema?.tables ?? []) {
    tables[table.name] = table.columns.map((c) => ({ label: c.name, type: "property", detail: c.type, info: c.doc }));
  }
  const support = sql({ dialect: PostgreSQL, schema: tables, upperCaseKeywords: false });
  const functions = (schema?.functions ?? []).map((f) => ({
    label: f.name,
    type: "function",
    info: `${f.doc}\n${f.example}`,
  }));
  const complete = PostgreSQL.language.data.of({
    autocomplete: (context: { matchBefore(r: RegExp): { from: number; text: string } | null; explicit: boolean }) => {
      const word = context.matchBefore(/\w+/);
      return word && functions.length > 0 ? { from: word.from, options: functions, validFor: /^\w*$/ } : null;
    },
  });
  return [support, complete];
}
