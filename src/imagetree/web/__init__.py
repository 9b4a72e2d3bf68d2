"""Pages in a browser, each also as JSON; reads only."""
