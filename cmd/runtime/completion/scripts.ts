/**
 * What makes shells ask this program for the words that may come next.
 *
 * Each asks `kata-runtime __complete WORD…`, the last word being the one that is typed, and gets a line for each word:
 * the word, a tab, what it is; or one line `:files` or `:folders`, which shells know best.
 *
 * @module
 */

/** Shells that are known. */
export type Shell = "bash" | "zsh" | "fish";

const BASH = `# completion of kata-runtime for bash
_kata_runtime() {
  local current=\${COMP_WORDS[COMP_CWORD]} word line
  local -a typed=() lines=()
  # bash makes "=" a word of its own
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == = ]] || typed+=("$word")
  done
  [[ $current == = ]] && current=
  mapfile -t lines < <("\${COMP_WORDS[0]}" __complete "\${typed[@]}" "$current" 2>/dev/null)
  COMPREPLY=()
  case \${lines[0]-} in
    :files)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      ;;
    :folders)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      ;;
    *)
      for line in "\${lines[@]}"; do
        COMPREPLY+=("\${line%%$'\\t'*}")
      done
      ;;
  esac
}
complete -F _kata_runtime kata-runtime kata
`;

const ZSH = `#compdef kata-runtime kata
# completion of kata-runtime for zsh
_kata_runtime() {
  local line
  local -a lines described
  lines=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  case \${lines[1]} in
    :files) _files ;;
    :folders) _files -/ ;;
    *)
      for line in "\${(@)lines}"; do
        [[ -n $line ]] && described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
      done
      (( \${#described} )) && _describe -V kata-runtime described
      ;;
  esac
}
if [[ \${funcstack[1]} == _kata-runtime ]]; then
  _kata_runtime "$@"
else
  compdef _kata_runtime kata-runtime kata
fi
`;

const FISH = `# completion of kata-runtime for fish
function __kata_runtime_words
  set -l typed (commandline -opc)
  set -l current (commandline -ct)
  set -l lines ($typed[1] __complete $typed[2..-1] "$current" 2>/dev/null)
  switch "$lines[1]"
    case ':files'
      __fish_complete_path "$current"
    case ':folders'
      __fish_complete_directories "$current"
    case '*'
      printf '%s\\n' $lines
  end
end
complete -c kata-runtime -f -a '(__kata_runtime_words)'
complete -c kata -f -a '(__kata_runtime_words)'
`;

/** What `kata-runtime completion SHELL` prints. */
export const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
