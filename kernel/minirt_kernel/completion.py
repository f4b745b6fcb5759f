def matcher_for(runtime):
    from IPython.core.completer import context_matcher

    @context_matcher(identifier="minirt")
    def m(ctx):
        return {"completions": [], "suppress": False}

    return m
