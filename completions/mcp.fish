complete --keep-order --exclusive --command mcp --arguments "(COMPLETE=fish mcp -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
