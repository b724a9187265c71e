"""Whether mail is wanted: evidence, a score, a verdict, and the reasons in words.

`seen` reads a message, `bayes` weighs its words, `rules`, `links` and `attachments` look for what unwanted mail has,
`scoring` adds up. `judge` asks the store and the DNS and gives the verdict; `training` learns from what people do.
"""
