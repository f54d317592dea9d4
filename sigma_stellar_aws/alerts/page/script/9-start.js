// Last: all that it uses is there by then.
start();
