"""Are the causes of slowness told apart? Small acts on the real kernel, each with one right answer."""
