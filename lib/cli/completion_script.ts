// The scripts that make bash and zsh ask `berth __complete`. They hold no knowledge of the commands, so they need not
// be renewed with berth. Both call the berth that is on the line being typed.

/** Shells a completion can be had for. */
export const SHELLS: readonly string[] = ["bash", "zsh"];

const BASH = `# bash completion of berth: source <(berth completion bash), or keep it as
# /usr/share/bash-completion/completions/berth
_berth() {
  local line current="\${COMP_WORDS[COMP_CWORD]}"
  [[ $current == = ]] && current=
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :files | :directories)
        compopt -o filenames 2>/dev/null
        local kind=-f path
        [[ $line == :directories ]] && kind=-d
        while IFS= read -r path; do COMPREPLY+=("$path"); done < <(compgen "$kind" -- "$current")
        ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done < <("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _berth berth
`;

const ZSH = `#compdef berth
# zsh completion of berth: source <(berth completion zsh), or keep it as _berth in a directory of $fpath
_berth() {
  local line value
  local -a described
  local more=
  for line in "\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      :files) more=_files ;;
      :directories) more='_files -/' ;;
      ?*)
        value=\${\${line%%$'\\t'*}//:/\\\\:}
        if [[ $line == *$'\\t'* ]]; then described+=("$value:\${line#*$'\\t'}"); else described+=("$value"); fi
        ;;
    esac
  done
  if (( \${#described} )); then _describe berth described; fi
  if [[ -n $more ]]; then \${=more}; fi
}
if [[ \${funcstack[1]} == _berth ]]; then _berth "$@"; else compdef _berth berth; fi
`;

/** The script for a shell of SHELLS. */
export function completionScript(shell: string): string {
  return shell === "zsh" ? ZSH : BASH;
}
