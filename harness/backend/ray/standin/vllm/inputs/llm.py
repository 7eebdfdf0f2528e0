def TokensPrompt(**fields):
    return fields


def TextPrompt(**fields):
    return fields


MultiModalDataDict = dict
