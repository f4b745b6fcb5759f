FROM a:1
MAINTAINER Ada "A" Lovelace
