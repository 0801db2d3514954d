//! A server as a child process, over its standard input and output.
