"""Commands, their options, and forms."""


class Command:
    """Descriptions of the commands, at most 100 characters each, and the name of the menu."""

    IMAGINE = "Make a picture from a description"
    EDIT = "Change a picture, or make one from several"
    EDIT_MENU = "Edit image"
    RECIPE_MENU = "Recipe"
    JOBS = "List your jobs: those in progress and the last that ended"
    CANCEL = "Cancel one of your jobs in progress"
    HISTORY = "Find your earlier jobs, with small pictures"
    SHOW = "Show one job in full, with its pictures and buttons"
    USAGE = "Show your credits: left, held and used, by model and by day"
    MY = "Your own choices, in every server"
    NOTIFY = "Choose how your results reach you, or see the current choice"
    SERVER = "For managers: the bot's settings in this server"
    SERVER_SETTINGS = "Show and change who may make pictures here, and for how many credits"
    SERVER_AUDIT = "Show who changed which setting, and when"
    MODELS = "List the models, their options and the price of a picture"
    PRIVACY = "Show what this bot stores about you, how long, and who receives it"
    MYDATA_DELETE = "Delete what this bot stores about you, after a question"
    HELP = "Show how to use this bot"
    MYDATA = "Your own data"
    MYDATA_EXPORT = "Get everything that this bot has stored about you, as ZIP files"


class Argument:
    """Descriptions of the commands' options, at most 100 characters each."""

    IMAGINE_PROMPT = "The picture to draw, in any language"
    EDIT_PROMPT = "The change to make, in any language"
    IMAGE = "The picture: PNG, JPEG or WebP, at most 10 MiB"
    IMAGE2 = "A second picture, if the model accepts several"
    IMAGE3 = "A third picture"
    IMAGE4 = "A fourth picture"
    ASPECT_RATIO = "The shape of the picture"
    IMAGE_SIZE = "A size instead of a shape"
    COUNT = "The number of pictures"
    NEGATIVE_PROMPT = "Things that must not be in the picture"
    SEED = "The same seed with the same options makes the same picture again"
    EXPAND_PROMPT = "Let the model write a longer prompt before drawing"
    OUTPUT_FORMAT = "The format of the file"
    SAFETY_CHECKER = "Check the request and the picture; on by default"
    MATCH_INPUT_IMAGE = "Give the result the shape of the picture"
    MODEL = "The model that draws the picture"
    PRIVATE = "Show the result to nobody but you"
    JOB = "One of your jobs"
    HISTORY_TEXT = "A part of the prompt"
    HISTORY_MODEL = "The model that has drawn"
    FAVOURITES = "Your favourites alone"
    SINCE = "The first day (UTC), like 2026-01-31"
    UNTIL = "The last day (UTC), like 2026-01-31"
    HOW = "How your results reach you; without it, the current choice is shown"
    HERE = "Send the files here, where only you see them, instead of by direct message"
    DEFAULT_CHOICE = "{value} (default)"


class EditForm:
    """Labels of the forms that the menu and the button *Edit* open, at most 45 characters each."""

    PROMPT = "The change to make"
    PICTURES = "The pictures to edit"
    PICTURE_CHOICE = "{number}: {name}"
    PICTURE = "The picture to edit"
    RESULT_CHOICE = "Picture {number}"
    REFERENCES = "Further pictures, if you like"
    REFERENCES_HINT = "Up to 3 as PNG, JPEG or WebP, if the model accepts several"


class RemixForm:
    """Labels of the form that the button *Remix* opens, at most 45 characters each."""

    PROMPT = "The picture to draw"
    NEGATIVE_PROMPT = "Things that must not be in the picture"
    SHAPE = "The shape of the picture"
    DEFAULT_SHAPE = "As the model chooses"
    COUNT = "The number of pictures"
    SWITCHES = "Options"
    NEW_SEED = "New seed"
    SEED = "Else seed {seed} is used again"
    NO_SEED = "The request had no seed, so a new one is drawn in any case"
    EXPAND = "Expand the prompt: the model rewrites it before drawing"


class Actions:
    """The buttons under a result."""

    AGAIN = "Again"
    REMIX = "Remix"
    EDIT = "Edit"
    MORE = "More"
